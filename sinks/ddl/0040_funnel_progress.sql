-- How far each person has come in a funnel, by day of entry: one row for each funnel, definition,
-- day and person. A row is an upsert: of the rows with its key the highest version stays.

CREATE TABLE IF NOT EXISTS funnel_progress
(
    funnel      LowCardinality(String),
    definition  LowCardinality(String),
    user_id     String CODEC(ZSTD(1)),
    day         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    reached     UInt8,
    times       Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    exact       Bool,
    version     UInt64 CODEC(ZSTD(1)),
    topic       LowCardinality(String),
    partition   UInt32,
    offset      UInt64 CODEC(Delta, ZSTD(1)),
    appended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (funnel, definition, day, user_id);
