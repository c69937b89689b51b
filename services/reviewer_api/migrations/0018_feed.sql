-- The feed: every decision of the log under a number without gaps, in the order of the commits, so that nobody who
-- follows the numbers misses one. `feed` names this deployment's numbers: a cursor of another one is refused.
CREATE TABLE feed_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    feed     text    NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 8),
    position bigint  NOT NULL DEFAULT 0
);
CREATE TABLE feed (
    position    bigint      PRIMARY KEY,
    decision_id uuid        NOT NULL UNIQUE REFERENCES decision_log
);

-- What was decided before: by time, and of one piece of content by sequence whatever the clocks said.
INSERT INTO feed (position, decision_id)
SELECT row_number() OVER (ORDER BY reached, sequence, decision_id), decision_id
FROM (
    SELECT decision_id, sequence,
           max(decided_at) OVER (PARTITION BY source, content_id ORDER BY sequence, decision_id) AS reached
    FROM decision_log
) AS known;
INSERT INTO feed_head (position) SELECT count(*) FROM feed;
