-- Promises to readers outside the router (the command line): columns of these views may be added, never renamed, removed
-- or changed in meaning, whatever becomes of the tables.

-- Every revision that was accepted, once, and where it went. `route`: approve, reject, review or superseded.
CREATE VIEW routed_revision AS
SELECT source, content_id, revision, text_sha256, route, why, audited, scores, policy_version, bundle_version, routed_at
FROM revision;

-- How many revisions were accepted, approved and rejected automatically, and how many records could not be processed.
CREATE VIEW totals AS
SELECT (SELECT count(*) FROM revision) AS submitted,
       (SELECT count(*) FROM revision WHERE route = 'approve') AS approved,
       (SELECT count(*) FROM revision WHERE route = 'reject') AS rejected,
       (SELECT count(*) FROM dead_letter) AS dead_letters;
