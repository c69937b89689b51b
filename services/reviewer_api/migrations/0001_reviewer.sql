-- Policies as they were published, each with its whole document as JSON. The highest version is the one in force.
CREATE TABLE policy (
    version      integer     PRIMARY KEY CHECK (version >= 1),
    document     json        NOT NULL,
    published_at timestamptz NOT NULL,
    published_by text        NOT NULL
);

-- One review of one revision, hot part. The states and their transitions are drawn in review/tasks.py.
-- `available_at`: pending: not before; leased: until; decided: publish not before.
-- `lease_token` and `leased_by` stay when the task is settled: they name the judgement that settled it.
CREATE TABLE task (
    task_id      uuid        PRIMARY KEY,
    source       text        NOT NULL,
    content_id   text        NOT NULL,
    revision     integer     NOT NULL CHECK (revision >= 1),
    sequence     bigint      NOT NULL CHECK (sequence >= 0),
    decision_id  uuid        NOT NULL UNIQUE,
    routed_queue text        NOT NULL,
    queue        text        NOT NULL,
    priority     integer     NOT NULL,
    state        text        NOT NULL
        CHECK (state IN ('pending', 'leased', 'decided', 'published', 'superseded', 'withdrawn')),
    escalated    boolean     NOT NULL DEFAULT false,
    available_at timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    lease_token  uuid        UNIQUE,
    leased_by    text,
    excluded     text[]      NOT NULL DEFAULT '{}',  -- reviewers who skipped it or judged it
    CONSTRAINT token_has_holder CHECK ((lease_token IS NULL) = (leased_by IS NULL)),
    CONSTRAINT pending_is_free CHECK (state <> 'pending' OR lease_token IS NULL),
    CONSTRAINT held_has_token CHECK (state NOT IN ('leased', 'decided', 'published') OR lease_token IS NOT NULL),
    CONSTRAINT holder_may_judge CHECK (state <> 'leased' OR NOT leased_by = ANY (excluded))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX task_open ON task (priority DESC, created_at, task_id) WHERE state IN ('pending', 'leased');
CREATE INDEX task_open_in_queue ON task (queue, priority DESC, created_at, task_id)
    WHERE state IN ('pending', 'leased');
CREATE INDEX task_to_publish ON task (available_at) WHERE state = 'decided';
CREATE INDEX task_of_content ON task (source, content_id, revision);

-- Cold part: what is shown to the reviewer and published with the verdict. Written once, but for the escalation note.
CREATE TABLE task_payload (
    task_id               uuid PRIMARY KEY REFERENCES task,
    why                   text             NOT NULL,
    content               json             NOT NULL,
    scores                json,
    embedding             text,
    u                     double precision NOT NULL CHECK (u >= 0 AND u < 1),
    inclusion_probability double precision NOT NULL CHECK (inclusion_probability > 0 AND inclusion_probability <= 1),
    stratum               text             NOT NULL,
    prior                 json,
    policy_version        integer,
    bundle_version        text,
    traceparent           text,
    escalation_note       text
);

-- Every verdict that was given, by the lease it was given under; an undone one stays, marked.
CREATE TABLE judgement (
    lease_token    uuid        PRIMARY KEY,
    number         bigint      GENERATED ALWAYS AS IDENTITY,  -- orders the judgements of a task
    task_id        uuid        NOT NULL REFERENCES task,
    reviewer       text        NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('approve', 'reject')),
    labels         text[]      NOT NULL,
    note           text,
    result         text        NOT NULL CHECK (result IN ('decided', 'second_opinion', 'escalated')),
    policy_version integer     NOT NULL REFERENCES policy,
    judged_at      timestamptz NOT NULL,
    undo_until     timestamptz NOT NULL CHECK (undo_until >= judged_at),
    undone_at      timestamptz CHECK (undone_at >= judged_at AND undone_at < undo_until),
    CONSTRAINT reject_has_labels CHECK ((outcome = 'reject') = (cardinality(labels) > 0))
);
CREATE UNIQUE INDEX judgement_one_each ON judgement (task_id, reviewer) WHERE undone_at IS NULL;

-- Revisions up to and including `up_to_revision` need no review any more, whenever a request for one turns up.
CREATE TABLE closure (
    source         text        NOT NULL,
    content_id     text        NOT NULL,
    up_to_revision integer     NOT NULL CHECK (up_to_revision >= 1),
    why            text        NOT NULL CHECK (why IN ('superseded', 'withdrawn')),
    closed_at      timestamptz NOT NULL,
    PRIMARY KEY (source, content_id, up_to_revision)
);

-- Every decision that anyone published, as read from the bus.
CREATE TABLE decision_log (
    decision_id    uuid        PRIMARY KEY,
    source         text        NOT NULL,
    content_id     text        NOT NULL,
    revision       integer     NOT NULL,
    sequence       bigint      NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('approve', 'reject')),
    labels         text[]      NOT NULL,
    action         text        NOT NULL,
    decided_by     text        NOT NULL,
    decided_at     timestamptz NOT NULL,
    confidence     double precision,
    policy_version integer,
    bundle_version text,
    reason         text        NOT NULL,
    supersedes     uuid
);
CREATE INDEX decision_log_newest ON decision_log (decided_at DESC, decision_id DESC);
CREATE INDEX decision_log_by ON decision_log (decided_by, decided_at DESC, decision_id DESC);
CREATE INDEX decision_log_of_content ON decision_log (source, content_id, sequence);
