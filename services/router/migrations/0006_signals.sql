-- What other classifiers said of a revision when it was routed, name → number in [0, 1]; NULL where nothing did. `reason`:
-- why a person decides, in words, such as a required signal that did not come; NULL where the decision itself says why.
ALTER TABLE revision ADD COLUMN signals jsonb;
ALTER TABLE revision ADD COLUMN reason  text;

CREATE OR REPLACE VIEW routed_revision AS
SELECT source, content_id, revision, text_sha256, route, why, audited, scores, policy_version, bundle_version, routed_at,
       signals, reason
FROM revision WHERE route <> 'accepted';

-- Requests to the classifiers that a policy asks, by hour: what the limits of the policy hold against. All routers count
-- here. Hours older than a day are removed.
CREATE TABLE signal_request (
    endpoint text        NOT NULL,
    hour     timestamptz NOT NULL,
    requests integer     NOT NULL CHECK (requests >= 0),
    PRIMARY KEY (endpoint, hour)
);
