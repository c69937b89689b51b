-- Who did what. `hash` is the SHA-256 of the hash before and of this entry (audit_log/chain.py): an entry that is changed,
-- removed or moved breaks the chain. The trigger keeps honest programs honest; the chain tells of the others.
CREATE TABLE audit_log (
    number  bigint      PRIMARY KEY CHECK (number >= 1),
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    object  text        NOT NULL,
    details jsonb       NOT NULL,
    hash    bytea       NOT NULL
);
CREATE FUNCTION refuse_audit_log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_change();
