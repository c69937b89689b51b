-- When each reviewer last asked for items or kept one. The row is also the lock under which their leases are counted.
CREATE TABLE reviewer_seen (
    reviewer text        PRIMARY KEY,
    seen_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
-- Nobody is away because nobody kept count before.
INSERT INTO reviewer_seen (reviewer, seen_at) SELECT subject, now() FROM api_key
WHERE revoked_at IS NULL AND role <> 'upstream';

-- What a reviewer has had in hand: `since` when, and from when on the item is offered to them like to anybody else.
-- A lease from before this table has no row; its time counts from the next call about it.
CREATE TABLE hold (
    task_id  uuid        NOT NULL,
    reviewer text        NOT NULL,
    since    timestamptz NOT NULL,
    again_at timestamptz NOT NULL,
    PRIMARY KEY (task_id, reviewer)
) WITH (fillfactor = 70);

-- Every lease that ended without a verdict. `judgement` holds those that ended with one.
CREATE TABLE returned_lease (
    lease_token uuid        PRIMARY KEY,
    task_id     uuid        NOT NULL,
    reviewer    text        NOT NULL,
    how         text        NOT NULL CHECK (how IN ('released', 'skipped', 'escalated', 'expired', 'taken_back')),
    returned_at timestamptz NOT NULL
);
CREATE INDEX returned_lease_by ON returned_lease (reviewer, returned_at);
CREATE INDEX judgement_by ON judgement (reviewer, judged_at);

CREATE INDEX task_held ON task (leased_by) WHERE state = 'leased';
-- Open tasks that somebody is excluded from: among them are those that nobody is left for.
CREATE INDEX task_open_excluding ON task (task_id) WHERE state IN ('pending', 'leased') AND excluded <> '{}';

-- What was escalated and has no published verdict: an edit of it is for leads, too.
CREATE INDEX task_escalated ON task (source, content_id) WHERE escalated AND state <> 'published';

-- `undone_at` also marks the earlier verdict of a lead who judges an escalated item again, which may be much later.
ALTER TABLE judgement DROP CONSTRAINT judgement_check1;
ALTER TABLE judgement ADD CONSTRAINT undone_after_judged CHECK (undone_at >= judged_at);
