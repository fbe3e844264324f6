-- A named funnel leaves out what came late, so the rows by person need to know when each came; and
-- it asks how far the touches of each partition go, which is not to read them all.

ALTER TABLE touchpoints DROP PROJECTION IF EXISTS by_person;

ALTER TABLE touchpoints ADD PROJECTION IF NOT EXISTS by_person
(
    SELECT
        user_id, occurred_at, kind, backfill, channel, source, campaign, staff, community,
        amount_minor, currency, order_id, partition, offset, appended_at,
        cityHash64(user_id), cityHash64(event_id)
    ORDER BY cityHash64(user_id)
);

ALTER TABLE touchpoints MATERIALIZE PROJECTION by_person;

ALTER TABLE touchpoints ADD PROJECTION IF NOT EXISTS by_partition
(
    SELECT partition, min(offset), max(offset), max(appended_at) GROUP BY partition
);

ALTER TABLE touchpoints MATERIALIZE PROJECTION by_partition;
