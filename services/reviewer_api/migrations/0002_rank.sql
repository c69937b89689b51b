-- Tasks are claimed by rank: when they were asked for, less their priority. A point of priority is worth a minute of
-- waiting, and only here is that written down, so what has a low priority waits longer but never forever.
-- By way of UTC, because the sum of a timestamptz and an interval depends on the session's time zone in general.
ALTER TABLE task ADD COLUMN rank timestamptz NOT NULL
    GENERATED ALWAYS AS (((created_at AT TIME ZONE 'UTC') - priority * interval '1 minute') AT TIME ZONE 'UTC') STORED;

DROP INDEX task_open;
DROP INDEX task_open_in_queue;
CREATE INDEX task_open ON task (rank, task_id) WHERE state IN ('pending', 'leased');
CREATE INDEX task_open_in_queue ON task (queue, rank, task_id) WHERE state IN ('pending', 'leased');
