"""Where the log is kept for questions: ClickHouse tables, their writer and their queries."""
