-- How far each person has come in a funnel, by day of entry. A row is an upsert: of the rows with
-- its key the highest version stays. Rows that are not exact have a key of their own, so that they
-- stay beside the others; the rows without a user_id are about a partition (schemas/records.py).
--
-- Partitions: the definition, so that one that is no longer asked for is dropped whole. Sort key:
-- what questions ask for lies together (who is unsure; the best of all days; some days), then the
-- person by hash, as funnels over raw touches group them. The id itself would make FINAL compare
-- and copy a text for each row.

CREATE TABLE IF NOT EXISTS funnel_progress
(
    funnel      LowCardinality(String),
    definition  LowCardinality(String),
    user_id     String CODEC(ZSTD(1)),
    day         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    reached     UInt8,
    times       Array(DateTime64(3, 'UTC')) CODEC(Delta, LZ4),
    best        Bool,
    exact       Bool,
    version     UInt64 CODEC(ZSTD(1)),
    topic       LowCardinality(String),
    partition   UInt32,
    offset      UInt64 CODEC(Delta, ZSTD(1)),
    appended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    person      UInt64 MATERIALIZED cityHash64(user_id),
    took        Array(Int64) MATERIALIZED arrayMap(
        (x, before) -> toUnixTimestamp64Milli(x) - toUnixTimestamp64Milli(before),
        arrayPopFront(times), arrayPopBack(times)) CODEC(LZ4)
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY definition
ORDER BY (definition, exact, best, day, person, partition);
