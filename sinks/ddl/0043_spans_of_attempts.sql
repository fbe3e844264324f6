-- Of a period's days of entry each person has one that counts: the farthest, of those the latest. By
-- these two a row tells by itself whether it is that one (schemas/records.py), so that a question
-- about a period need not group its rows by person. And when the attempt began, without its times.

ALTER TABLE funnel_progress ADD COLUMN IF NOT EXISTS
    after DateTime64(3, 'UTC') CODEC(LZ4) AFTER version;

ALTER TABLE funnel_progress ADD COLUMN IF NOT EXISTS
    until DateTime64(3, 'UTC') CODEC(LZ4) AFTER after;

ALTER TABLE funnel_progress ADD COLUMN IF NOT EXISTS
    entered DateTime64(3, 'UTC') MATERIALIZED times[1] CODEC(Delta, LZ4) AFTER took;

-- How far each partition is followed, and how fresh its rows are, from a few rows: those without a
-- person (the hash of no id) say the one, all of them the other.

ALTER TABLE funnel_progress DROP PROJECTION IF EXISTS by_definition;

ALTER TABLE funnel_progress ADD PROJECTION IF NOT EXISTS by_partition
(
    SELECT definition, partition, max(appended_at),
        countIf(person = cityHash64('')), maxIf(version, person = cityHash64(''))
    GROUP BY definition, partition
);

ALTER TABLE funnel_progress MATERIALIZE PROJECTION by_partition;
