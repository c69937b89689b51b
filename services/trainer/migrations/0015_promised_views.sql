-- A promise to readers outside the trainer (the command line): columns of this view may be added, never renamed, removed
-- or changed in meaning, whatever becomes of the tables.

-- Every judgement that the trainer has stored, with its text, and with what the model said of it when the item was
-- routed. `labels` maps a name to true or false, a missing name is unknown; `scores` maps a name to a number in [0, 1].
CREATE VIEW judgement AS
SELECT label_id, source, content_id, revision, text, language, labels, reviewer, labelled_at, adjudicated,
       inclusion_probability, stratum, scores, bundle_version, received
FROM label;
