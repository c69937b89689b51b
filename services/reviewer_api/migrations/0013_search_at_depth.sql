-- Search by an author alone, by a label and by who decided, beside a million items that wait. The statistics of the first
-- matter as much as the index: without them the planner takes an author to have written one text in two hundred.
CREATE INDEX task_payload_author_id ON task_payload ((content ->> 'author_id'));
CREATE INDEX decision_log_labels ON decision_log USING gin (labels);
