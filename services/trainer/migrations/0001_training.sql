-- What people said. One row a judgement; a later judgement of the same review by the same person replaces it.
CREATE TABLE label (
    label_id              uuid        PRIMARY KEY,
    source                text        NOT NULL,
    content_id            text        NOT NULL,
    revision              integer     NOT NULL CHECK (revision >= 1),
    reviewer              text        NOT NULL,
    text                  text        NOT NULL,
    text_sha256           bytea       NOT NULL,
    language              text,
    labels                jsonb       NOT NULL,  -- name → true or false; a missing name is unknown
    adjudicated           boolean     NOT NULL,
    inclusion_probability double precision CHECK (inclusion_probability > 0 AND inclusion_probability <= 1),
    stratum               text        NOT NULL,
    scores                jsonb,
    bundle_version        text,
    labelled_at           timestamptz NOT NULL,
    split                 text        NOT NULL CHECK (split IN ('train', 'holdout')),
    received              bigint      GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX label_received ON label (received);

-- Requests to train, and how they ended.
--   queued ─▶ running ─▶ promoted | kept | refused | failed
-- `kept`: the gate kept the active bundle. `refused`: the labels do not allow a model. A run that was cut off is queued
-- again. While one runs another can be queued: it will see the labels and the policy of its own start.
CREATE TABLE run (
    run_id         uuid        PRIMARY KEY,
    reason         text        NOT NULL CHECK (reason IN ('first', 'policy', 'labels', 'schedule', 'manual')),
    state          text        NOT NULL CHECK (state IN ('queued', 'running', 'promoted', 'kept', 'refused', 'failed')),
    requested_at   timestamptz NOT NULL,
    started_at     timestamptz,
    finished_at    timestamptz,
    policy_version integer,
    label_mark     bigint      NOT NULL DEFAULT 0,  -- highest label.received that the run could see
    detail         text        NOT NULL DEFAULT '',
    CHECK ((state IN ('promoted', 'kept', 'refused', 'failed')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX run_one_queued_one_running ON run (state) WHERE state IN ('queued', 'running');

-- Every bundle that was made. Files of refused and of old retired ones are removed, the rows stay.
CREATE TABLE bundle (
    bundle_version text        PRIMARY KEY,
    uri            text        NOT NULL,
    sha256         text        NOT NULL,
    stage          text        NOT NULL CHECK (stage IN ('active', 'retired', 'refused')),
    policy_version integer     NOT NULL,
    labels         text[]      NOT NULL,
    metrics        jsonb       NOT NULL,
    reasons        text[]      NOT NULL,
    created_at     timestamptz NOT NULL,
    promoted_at    timestamptz,
    removed_at     timestamptz,
    CHECK (stage = 'refused' OR promoted_at IS NOT NULL)
);
CREATE UNIQUE INDEX bundle_one_active ON bundle (stage) WHERE stage = 'active';

-- Embeddings by text and encoder: a text is embedded once.
CREATE TABLE embedding (
    encoder_sha256 text  NOT NULL,
    text_sha256    bytea NOT NULL,
    vector         bytea NOT NULL,  -- little-endian float32
    PRIMARY KEY (encoder_sha256, text_sha256)
);
