"""The contracts: Avro schemas, their records in Python, topics, playbooks and wire formats."""
