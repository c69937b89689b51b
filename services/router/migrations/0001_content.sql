-- One row a piece of content: what later records of the same content must know.
CREATE TABLE content (
    source          text        NOT NULL,
    content_id      text        NOT NULL,
    latest_revision integer     NOT NULL CHECK (latest_revision >= 1),
    reviewed_up_to  integer     NOT NULL DEFAULT 0,  -- the latest revision a review was asked for and not cancelled
    withdrawn_at    timestamptz,
    PRIMARY KEY (source, content_id)
) WITH (fillfactor = 80);

-- One row a revision that was accepted, and where it went. The primary key is what makes a revision routed once.
CREATE TABLE revision (
    source         text        NOT NULL,
    content_id     text        NOT NULL,
    revision       integer     NOT NULL CHECK (revision >= 1),
    text_sha256    bytea       NOT NULL CHECK (octet_length(text_sha256) = 32),
    route          text        NOT NULL CHECK (route IN ('approve', 'reject', 'review', 'superseded')),
    why            text        NOT NULL,
    audited        boolean     NOT NULL,
    scores         jsonb,
    policy_version integer,
    bundle_version text,
    routed_at      timestamptz NOT NULL,
    PRIMARY KEY (source, content_id, revision),
    CHECK (route NOT IN ('approve', 'reject') OR (scores IS NOT NULL AND bundle_version IS NOT NULL)),
    CHECK (NOT audited OR route IN ('approve', 'reject'))
);
