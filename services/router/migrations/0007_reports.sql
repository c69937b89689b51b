-- What users report. A report that comes before its content waits here; `content` then has a row for the content with
-- latest_revision 0. `reported`: whether there may be reports. `reopened`: the latest revision that reports have sent to
-- a person. `judged`: the latest revision that a person has decided.
ALTER TABLE content
    ADD COLUMN reported boolean NOT NULL DEFAULT false,
    ADD COLUMN reopened integer NOT NULL DEFAULT 0,
    ADD COLUMN judged   integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT revision_or_withdrawal,
    ADD CONSTRAINT something_is_known
        CHECK (latest_revision > 0 OR withdrawn_at IS NOT NULL OR withdrawal_accepted_at IS NOT NULL OR reported);

CREATE INDEX content_unknown ON content (source, content_id) WHERE latest_revision = 0;

-- `counted`: read from the bus; false: HTTP has accepted it. `answered`: the sequence of the decision by which a person
-- answered it, and whether that rejected the content.
CREATE TABLE report (
    source      text        NOT NULL,
    report_id   text        NOT NULL,
    content_id  text        NOT NULL,
    reporter    text        NOT NULL,
    reason      text        NOT NULL,
    note        text,
    reported_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    counted     boolean     NOT NULL,
    answered    bigint,
    upheld      boolean,
    PRIMARY KEY (source, report_id),
    CONSTRAINT answer_is_whole CHECK ((answered IS NULL) = (upheld IS NULL))
);
CREATE INDEX report_of_content ON report (source, content_id);
CREATE INDEX report_received ON report (received_at);

-- How many reports were read from the topic of content: the share that is audited falls with the number of items, and
-- reports are none. A batch that is tried again counts again, so that rather more is audited.
CREATE SEQUENCE reports_read;

-- What people made of a reporter's reports: pieces of content that they rejected (upheld) and approved (refused).
-- Pseudonyms only.
CREATE TABLE reporter (
    source   text        NOT NULL,
    reporter text        NOT NULL,
    upheld   integer     NOT NULL CHECK (upheld >= 0),
    refused  integer     NOT NULL CHECK (refused >= 0),
    last_at  timestamptz NOT NULL,
    PRIMARY KEY (source, reporter)
);
CREATE INDEX reporter_last ON reporter (last_at);

-- The latest revision of content that was approved automatically while the policy has a section `reports`, with the
-- request for its review. The only texts that the router keeps, and for no longer than the policy says.
CREATE TABLE approved_content (
    source      text        NOT NULL,
    content_id  text        NOT NULL,
    revision    integer     NOT NULL,
    request     text        NOT NULL,
    author_id   text,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (source, content_id)
);
CREATE INDEX approved_content_by_time ON approved_content (approved_at);

-- Reports that ask for a person. `unproven`: on the word of reporters alone whose reports nobody has upheld; so many of
-- those may be with people at a time, and the others wait.
CREATE TABLE reopening (
    source     text        NOT NULL,
    content_id text        NOT NULL,
    revision   integer     NOT NULL,
    unproven   boolean     NOT NULL,
    state      text        NOT NULL CHECK (state IN ('waiting', 'asked', 'upheld', 'refused')),
    since      timestamptz NOT NULL,
    PRIMARY KEY (source, content_id, revision)
);
CREATE INDEX reopening_waiting ON reopening (since) WHERE state = 'waiting';
CREATE INDEX reopening_unproven ON reopening (since) WHERE unproven;
