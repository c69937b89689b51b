-- Where decisions are sent to. `position`: decisions of the feed up to this number are taken in as deliveries.
-- `secret` signs; `old_secret` signs as well until `old_until`. They are secrets: no view and no answer shows them again.
-- `held_by` delivers until `held_until`, and no other process does. `failures`: in a row; `resting_until`: while it lasts
-- nothing is sent, because nothing arrived of late.
CREATE TABLE webhook (
    webhook_id    uuid        PRIMARY KEY,
    url           text        NOT NULL,
    description   text        NOT NULL,
    owner         text        NOT NULL,
    sources       text[]      CHECK (cardinality(sources) > 0),
    labels        text[]      CHECK (cardinality(labels) > 0),
    outcome       text        CHECK (outcome IN ('approve', 'reject')),
    decided_by    text,
    secret        text        NOT NULL,
    old_secret    text,
    old_until     timestamptz,
    enabled       boolean     NOT NULL DEFAULT true,
    disabled_why  text,
    position      bigint      NOT NULL,
    created_at    timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    failures      integer     NOT NULL DEFAULT 0,
    resting_until timestamptz,
    held_by       uuid,
    held_until    timestamptz,
    CHECK ((old_secret IS NULL) = (old_until IS NULL))
);

-- One decision for one webhook. `waiting` until `delivered`, or `failed` once it was tried until `give_up_at`.
CREATE TABLE webhook_delivery (
    webhook_id   uuid        NOT NULL REFERENCES webhook ON DELETE CASCADE,
    position     bigint      NOT NULL,
    decision_id  uuid        NOT NULL REFERENCES decision_log,
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts     integer     NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    give_up_at   timestamptz NOT NULL,
    tried_at     timestamptz,
    status       integer,
    problem      text,
    PRIMARY KEY (webhook_id, position)
) WITH (fillfactor = 80);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_failed ON webhook_delivery (webhook_id, position) WHERE state = 'failed';
CREATE INDEX webhook_delivery_old ON webhook_delivery (tried_at) WHERE state <> 'waiting';
