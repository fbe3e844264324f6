-- The live aggregates: the sums of one window over one block of a partition's touches. A row is an
-- upsert: of the rows with its key the highest version stays, so neither a retry nor a replay can
-- inflate it. The figures of a window are the sums over its blocks and partitions.
--
-- Partitions: the year in which the window begins. It is of the key, so versions of a row meet.

CREATE TABLE IF NOT EXISTS aggregates
(
    block         UInt64 CODEC(ZSTD(1)),
    grain         LowCardinality(String),
    start         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    version       UInt64 CODEC(ZSTD(1)),
    currency      LowCardinality(String),
    dimensions    Array(LowCardinality(String)) CODEC(ZSTD(1)),
    values        Array(String) CODEC(ZSTD(1)),
    touches       Array(Int64) CODEC(ZSTD(1)),
    people        Array(Int64) CODEC(ZSTD(1)),
    new_people    Array(Int64) CODEC(ZSTD(1)),
    orders        Array(Int64) CODEC(ZSTD(1)),
    revenue_minor Array(Int64) CODEC(ZSTD(1)),
    topic         LowCardinality(String),
    partition     UInt32,
    offset        UInt64 CODEC(Delta, ZSTD(1)),
    appended_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(start)
ORDER BY (grain, start, partition, block);
