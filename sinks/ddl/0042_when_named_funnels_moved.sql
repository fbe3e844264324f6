-- An answer from these rows says how fresh they are; to know it is not to read the times of them all.

ALTER TABLE funnel_progress MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE funnel_progress ADD PROJECTION IF NOT EXISTS by_definition
(
    SELECT definition, max(appended_at) GROUP BY definition
);

ALTER TABLE funnel_progress MATERIALIZE PROJECTION by_definition;
