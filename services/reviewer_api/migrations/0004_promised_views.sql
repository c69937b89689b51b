-- Promises to readers outside the reviewer API (the command line): columns of these views may be added, never renamed,
-- removed or changed in meaning, whatever becomes of the tables.

-- Every decision that anyone published, as read from the bus: the model's, a reviewer's or a rule's (`decided_by`).
CREATE VIEW published_decision AS
SELECT decision_id, source, content_id, revision, sequence, outcome, labels, action, decided_by, decided_at, confidence,
       policy_version, bundle_version, reason, supersedes
FROM decision_log;

-- Every review that was asked for, of which revision, and its state (drawn in review/tasks.py).
CREATE VIEW requested_review AS
SELECT task_id, source, content_id, revision, state FROM task;

-- How many items wait for a verdict, and how many have one.
CREATE VIEW totals AS
SELECT (SELECT count(*) FROM task WHERE state IN ('pending', 'leased')) AS in_review,
       (SELECT count(*) FROM task WHERE state IN ('decided', 'published')) AS decided;

-- The newest quality figures that the trainer published: a body of QualityMeasured as JSON, or no row before the first.
CREATE VIEW newest_quality AS
SELECT measured_at, document FROM quality;
