-- That people found more harm than a model let expect. `received` numbers the judgement that showed it. For 14 days, or
-- until other weights are active, as much is audited as the policy allows.
CREATE TABLE notice (
    weights    text        NOT NULL,
    received   bigint      NOT NULL,
    items      integer     NOT NULL,  -- judged since the weights were fitted, or since the notice before
    noticed_at timestamptz NOT NULL,
    PRIMARY KEY (weights, received)
);

ALTER TABLE run DROP CONSTRAINT run_reason_check;
ALTER TABLE run ADD CONSTRAINT run_reason_check
    CHECK (reason IN ('first', 'policy', 'labels', 'schedule', 'manual', 'certify', 'noticed'));
