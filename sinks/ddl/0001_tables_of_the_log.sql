-- One row for each record of the log. A record that is stored again (a retry, a replay) is the
-- same row with the same sort key, and replaces itself: read with FINAL, and figures are exact.
--
-- Sort key: the person first, because questions are asked person by person; then the place in the
-- log, which makes the key unique. Partitions: the month in which the log took the record. It never
-- changes, so a replay meets its earlier self; one insert spans one or two of them, where years of
-- history by occurred_at would make a hundred parts, and ClickHouse refuses more; and old months
-- can be dropped as the log drops them.

CREATE TABLE IF NOT EXISTS touchpoints
(
    event_id     String CODEC(ZSTD(1)),
    user_id      String,
    occurred_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kind         LowCardinality(String),
    backfill     Bool,
    channel      LowCardinality(String),
    source       LowCardinality(String),
    campaign     LowCardinality(String),
    staff        LowCardinality(String),
    community    LowCardinality(String),
    payload      String CODEC(ZSTD(1)),
    amount_minor Int64 CODEC(ZSTD(1)),
    currency     LowCardinality(String),
    order_id     String CODEC(ZSTD(1)),
    topic        LowCardinality(String),
    partition    UInt32,
    offset       UInt64 CODEC(Delta, ZSTD(1)),
    appended_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
PRIMARY KEY user_id
ORDER BY (user_id, topic, partition, offset);

CREATE TABLE IF NOT EXISTS facts
(
    fact_id          String CODEC(ZSTD(1)),
    user_id          String,
    kind             LowCardinality(String),
    at               DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    subject          LowCardinality(String),
    old              String CODEC(ZSTD(1)),
    new              String CODEC(ZSTD(1)),
    cause_kind       LowCardinality(String),
    cause_id         String CODEC(ZSTD(1)),
    rule             LowCardinality(String),
    playbook         LowCardinality(String),
    playbook_version UInt32,
    values           Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    topic            LowCardinality(String),
    partition        UInt32,
    offset           UInt64 CODEC(Delta, ZSTD(1)),
    appended_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
PRIMARY KEY user_id
ORDER BY (user_id, topic, partition, offset);

CREATE TABLE IF NOT EXISTS actions
(
    action_id        String CODEC(ZSTD(1)),
    user_id          String,
    family           LowCardinality(String),
    template         LowCardinality(String),
    sender_role      LowCardinality(String),
    params           Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    due_at           DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    playbook         LowCardinality(String),
    playbook_version UInt32,
    sop              LowCardinality(String),
    sop_version      UInt32,
    entry_key        String CODEC(ZSTD(1)),
    step             LowCardinality(String),
    cause_kind       LowCardinality(String),
    cause_id         String CODEC(ZSTD(1)),
    topic            LowCardinality(String),
    partition        UInt32,
    offset           UInt64 CODEC(Delta, ZSTD(1)),
    appended_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
PRIMARY KEY user_id
ORDER BY (user_id, topic, partition, offset);

-- The source_ columns say where the broken record lies; the last four where its dead letter lies.
CREATE TABLE IF NOT EXISTS dead_letters
(
    source_topic       LowCardinality(String),
    source_partition   UInt32,
    source_offset      UInt64,
    source_appended_at DateTime64(3, 'UTC'),
    reason             LowCardinality(String),
    detail             String CODEC(ZSTD(1)),
    key                Nullable(String) CODEC(ZSTD(1)),
    value              Nullable(String) CODEC(ZSTD(1)),
    topic              LowCardinality(String),
    partition          UInt32,
    offset             UInt64,
    appended_at        DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
ORDER BY (topic, partition, offset);
