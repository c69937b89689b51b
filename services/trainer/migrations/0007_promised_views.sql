-- Promises to readers outside the trainer (the command line): columns of these views may be added, never renamed,
-- removed or changed in meaning, whatever becomes of the tables.

-- Every judgement that the trainer has stored, without the text. `received` numbers them in the order in which they
-- first arrived; a correction keeps the number. `labels` maps a name to true or false, a missing name is unknown.
CREATE VIEW stored_label AS
SELECT label_id, source, content_id, revision, reviewer, labels, adjudicated, inclusion_probability, stratum,
       labelled_at, received
FROM label;

-- How many judgements there are and how many bundles were ever active, the active bundle, and how the newest run stands.
CREATE VIEW totals AS
SELECT (SELECT count(*) FROM label) AS labels,
       (SELECT bundle_version FROM bundle WHERE stage = 'active') AS bundle,
       (SELECT count(*) FROM bundle WHERE promoted_at IS NOT NULL) AS bundles,
       (SELECT state || ': ' || detail FROM run ORDER BY requested_at DESC LIMIT 1) AS training;
