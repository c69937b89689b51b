-- What makes the state of a piece of content the same in every order of arrival (router/identity/standing.py).
-- `created_at`, `reports` and `reach` are the latest revision's; NULL and 0 for what was routed before this migration.
-- `latest_revision` is 0 while nothing but a withdrawal is known. `withdrawal_accepted_at`: of the latest withdrawal that
-- the HTTP API accepted, routed or not.
ALTER TABLE content
    ADD COLUMN created_at             timestamptz,
    ADD COLUMN reports                integer NOT NULL DEFAULT 0,
    ADD COLUMN reach                  bigint  NOT NULL DEFAULT 0,
    ADD COLUMN withdrawal_accepted_at timestamptz,
    DROP CONSTRAINT content_latest_revision_check,
    ADD CONSTRAINT content_latest_revision_check CHECK (latest_revision >= 0),
    ADD CONSTRAINT revision_or_withdrawal
        CHECK (latest_revision > 0 OR withdrawn_at IS NOT NULL OR withdrawal_accepted_at IS NOT NULL);

-- `content_sha256` covers text, kind, author and context; NULL for what was routed before this migration.
-- A row with the route `accepted` is a promise: the HTTP API accepted this revision, and nobody has routed it yet; only
-- such a row needs `created_at`. `withdrawn`: a withdrawal was there before it.
ALTER TABLE revision
    ADD COLUMN content_sha256 bytea CHECK (octet_length(content_sha256) = 32),
    ADD COLUMN created_at     timestamptz,
    DROP CONSTRAINT revision_route_check,
    ADD CONSTRAINT revision_route_check
        CHECK (route IN ('accepted', 'approve', 'reject', 'review', 'superseded', 'withdrawn')),
    ADD CONSTRAINT promise_is_whole CHECK (route <> 'accepted' OR (content_sha256 IS NOT NULL AND created_at IS NOT NULL));

-- Every revision that was routed, once, and where it went. `route`: approve, reject, review, superseded or withdrawn.
CREATE OR REPLACE VIEW routed_revision AS
SELECT source, content_id, revision, text_sha256, route, why, audited, scores, policy_version, bundle_version, routed_at
FROM revision WHERE route <> 'accepted';

CREATE OR REPLACE VIEW totals AS
SELECT (SELECT count(*) FROM revision WHERE route <> 'accepted') AS submitted,
       (SELECT count(*) FROM revision WHERE route = 'approve') AS approved,
       (SELECT count(*) FROM revision WHERE route = 'reject') AS rejected,
       (SELECT count(*) FROM dead_letter) AS dead_letters;
