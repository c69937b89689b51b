-- Labels are split four ways; see services/trainer/splits.py. What was held out before goes on as calibration data.
ALTER TABLE label DROP CONSTRAINT label_split_check;
UPDATE label SET split = 'calibrate' WHERE split = 'holdout';
ALTER TABLE label ADD CONSTRAINT label_split_check CHECK (split IN ('train', 'calibrate', 'certify', 'gold'));
CREATE INDEX label_of_item ON label (source, content_id, revision);
CREATE INDEX label_of_bundle ON label (bundle_version, stratum);

-- The draw of each group of items (near copies, texts of one author): the first of a group decides for all.
CREATE TABLE group_draw (
    key  bytea            PRIMARY KEY,
    draw double precision NOT NULL CHECK (draw >= 0 AND draw < 1)
);

-- Attempts to certify thresholds. Attempt j of a claim may spend δ/2^j, so it is written down as spent before any
-- judgement is looked at; if it turns out to have looked at none, it is not, and its number is used again.
CREATE TABLE certification (
    certification_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    claim            text        NOT NULL,  -- labels and risk targets that the attempts are about
    attempt          integer     NOT NULL CHECK (attempt >= 1),
    run_id           uuid        NOT NULL REFERENCES run,
    items            integer     NOT NULL,  -- certify items that there were
    started_at       timestamptz NOT NULL,
    spent            boolean     NOT NULL DEFAULT true,
    bundle_version   text,                  -- that carries the result; null if none does
    reasons          text[]      NOT NULL DEFAULT '{}'  -- of the sides that are off
);
CREATE UNIQUE INDEX certification_spent_once ON certification (claim, attempt) WHERE spent;
CREATE INDEX certification_of_run ON certification (run_id);

-- Sides that fell back to review because audits found too many errors.
CREATE TABLE alarm (
    alarm_id   bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    weights    text             NOT NULL,  -- first bundle that carried these weights
    side       text             NOT NULL,  -- 'approve' or 'reject LABEL'
    audits     integer          NOT NULL,
    errors     integer          NOT NULL,
    lower      double precision NOT NULL,  -- of the error rate, at any time, at the policy's confidence
    epsilon    double precision NOT NULL,
    label_mark bigint           NOT NULL,  -- highest label.received that had been seen
    fired_at   timestamptz      NOT NULL,
    cleared_at timestamptz                 -- certified again, on labels that came after label_mark
);
CREATE UNIQUE INDEX alarm_one_open ON alarm (weights, side) WHERE cleared_at IS NULL;

ALTER TABLE run DROP CONSTRAINT run_reason_check;
ALTER TABLE run ADD CONSTRAINT run_reason_check
    CHECK (reason IN ('first', 'policy', 'labels', 'schedule', 'manual', 'certify', 'alarm'));

-- A bundle can carry the weights of an earlier one with other thresholds. Stages:
--   refused ─▶ shadow ─▶ canary ─▶ active ─▶ retired     (stages may be left out; a step back ends in `refused`)
ALTER TABLE bundle ADD COLUMN weights text;
UPDATE bundle SET weights = bundle_version;
ALTER TABLE bundle ALTER COLUMN weights SET NOT NULL;
ALTER TABLE bundle ADD COLUMN staged_at timestamptz;
ALTER TABLE bundle DROP CONSTRAINT bundle_stage_check;
ALTER TABLE bundle ADD CONSTRAINT bundle_stage_check
    CHECK (stage IN ('refused', 'shadow', 'canary', 'active', 'retired'));
ALTER TABLE bundle DROP CONSTRAINT bundle_check;
ALTER TABLE bundle ADD CONSTRAINT bundle_promoted CHECK (stage NOT IN ('active', 'retired') OR promoted_at IS NOT NULL);
DROP INDEX bundle_one_active;
CREATE UNIQUE INDEX bundle_one_a_stage ON bundle (stage) WHERE stage IN ('shadow', 'canary', 'active');
