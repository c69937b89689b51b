-- What people asked other services to do, and what came of it.
CREATE TABLE operation (
    operation_id uuid        PRIMARY KEY,
    what         text        NOT NULL,
    asked_by     text        NOT NULL,
    asked_at     timestamptz NOT NULL,
    done_at      timestamptz,
    ok           boolean,
    detail       text,
    simulated    json,
    CONSTRAINT done_says_how CHECK ((done_at IS NULL) = (ok IS NULL) AND (done_at IS NULL) = (detail IS NULL))
);
CREATE INDEX operation_asked ON operation (asked_at);
