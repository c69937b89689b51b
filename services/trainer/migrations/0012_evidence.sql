-- What people were asked about, in the order in which it came: the sample that certificates rest on. What nobody has
-- judged yet is in it too, so that a slow queue can delay a certificate and not bias it.
CREATE TABLE asked (
    number     bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     text             NOT NULL,
    content_id text             NOT NULL,
    revision   integer          NOT NULL CHECK (revision >= 1),
    kind       text             NOT NULL,
    language   text,                        -- as the content was tagged
    text       text             NOT NULL,
    keys       bytea[]          NOT NULL,   -- what it shares with copies of it, and with other texts of its author
    u          double precision NOT NULL CHECK (u >= 0 AND u < 1),
    approve    double precision NOT NULL CHECK (approve BETWEEN 0 AND 1),  -- of what was approved automatically at that
    reject     double precision NOT NULL CHECK (reject BETWEEN 0 AND 1),   -- time, and rejected, the share judged
    held_out   boolean          NOT NULL,   -- no model learns from it
    bundle_version text,                    -- that routed it
    declared   boolean          NOT NULL DEFAULT false,  -- of a file that people declared to be a uniform sample
    gone       text             CHECK (gone IN ('withdrawn', 'superseded')),
    asked_at   timestamptz      NOT NULL,
    UNIQUE (source, content_id, revision)
);

-- What weights say of items that people were asked about. `scope`: whether they were made for the text (text/scope.py).
CREATE TABLE evidence_score (
    weights text               NOT NULL,
    number  bigint             NOT NULL REFERENCES asked ON DELETE CASCADE,
    scores  double precision[] NOT NULL,
    scope   smallint           NOT NULL,
    PRIMARY KEY (weights, number)
);

-- The share of the content that was held out when a group first came; NULL for groups from before this migration.
ALTER TABLE group_draw ADD COLUMN held_out double precision CHECK (held_out >= 0 AND held_out < 1);

-- What weights may spend: a share number m allows δ/(m(m+1)), and no number is given out twice. `side` is '' for all
-- sides without an alarm; a side that an alarm refuted, by any weights, starts again behind its label `mark`.
-- `grid`: the thresholds to try by side, fixed before any judgement is looked at.
CREATE TABLE spending (
    number     integer     PRIMARY KEY CHECK (number >= 1),
    weights    text        NOT NULL,
    claim      text        NOT NULL,
    side       text        NOT NULL,
    mark       bigint      NOT NULL,
    granted_at timestamptz NOT NULL,
    UNIQUE (weights, claim, side, mark)
);
CREATE TABLE grid (
    weights    text               NOT NULL,
    claim      text               NOT NULL,
    side       text               NOT NULL,
    thresholds double precision[] NOT NULL,
    PRIMARY KEY (weights, claim, side)
);

-- How far a run could see: what was asked after it is new to the model that it fitted.
ALTER TABLE run ADD COLUMN asked_mark bigint NOT NULL DEFAULT 0;
-- A challenger that only lacks evidence waits for it. Stages (services/trainer/stages.py draws them):
ALTER TABLE bundle DROP CONSTRAINT bundle_stage_check;
ALTER TABLE bundle ADD CONSTRAINT bundle_stage_check
    CHECK (stage IN ('stored', 'waiting', 'refused', 'shadow', 'canary', 'active', 'retired'));
CREATE UNIQUE INDEX bundle_one_waits ON bundle (stage) WHERE stage = 'waiting';

-- What a look at the evidence found.
ALTER TABLE certification ADD COLUMN found jsonb;
-- What was asked up to an alarm is no evidence for its side any more.
ALTER TABLE alarm ADD COLUMN asked_mark bigint NOT NULL DEFAULT 0;

-- What the coin drew out of all traffic until now: a uniform sample, judged with the same probability everywhere.
INSERT INTO asked (source, content_id, revision, kind, language, text, keys, u, approve, reject, held_out,
                   bundle_version, asked_at)
SELECT source, content_id, revision, 'text', language, text, ARRAY[text_sha256], 0, inclusion_probability,
       inclusion_probability, true, bundle_version, labelled_at
FROM (SELECT DISTINCT ON (source, content_id, revision) * FROM label
      WHERE stratum = 'uniform' AND split IN ('certify', 'gold') AND inclusion_probability IS NOT NULL
      ORDER BY source, content_id, revision, received) AS first
ORDER BY received;
UPDATE run SET asked_mark = (SELECT coalesce(max(number), 0) FROM asked) WHERE state <> 'queued';
UPDATE alarm SET asked_mark = coalesce((
    SELECT max(number) FROM asked JOIN label USING (source, content_id, revision) WHERE received <= label_mark), 0);
