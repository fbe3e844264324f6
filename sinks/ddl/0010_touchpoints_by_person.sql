-- A second order of the same rows, by the hash of the person: a funnel over everybody groups by a
-- number instead of a text, and a sample of people reads only its part of the table. It is a
-- projection, so it is written, replaced and dropped together with the rows.

ALTER TABLE touchpoints MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE touchpoints ADD PROJECTION IF NOT EXISTS by_person
(
    SELECT
        user_id, occurred_at, kind, backfill, channel, source, campaign, staff, community,
        amount_minor, currency, order_id, partition, offset,
        cityHash64(user_id), cityHash64(event_id)
    ORDER BY cityHash64(user_id)
);

ALTER TABLE touchpoints MATERIALIZE PROJECTION by_person;
