-- Verdicts that were given together have an id in common, by which they are undone together.
ALTER TABLE judgement ADD COLUMN bulk_id uuid;
CREATE INDEX judgement_of_bulk ON judgement (bulk_id) WHERE bulk_id IS NOT NULL;

-- The share of its traffic that people judged when the item was routed: with a coin below it, the item is evidence.
-- NULL: from a version or a router that did not say so.
ALTER TABLE task_payload ADD COLUMN drawn_below double precision;

-- Embeddings of open items are kept where the server has pgvector: by them near copies of an item are found. Called here
-- and at each start of the service, so that pgvector may be installed later. Returns whether they are kept.
CREATE FUNCTION keep_vectors() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    home text;
BEGIN
    IF to_regclass('task_vector') IS NOT NULL THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('second-look/vectors'));  -- several processes may start at once
    IF to_regclass('task_vector') IS NOT NULL THEN
        RETURN true;
    END IF;
    BEGIN
        CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
    EXCEPTION WHEN OTHERS THEN
        NULL;  -- it is not installed on the server, or takes an administrator
    END;
    SELECT n.nspname INTO home FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector';
    IF home IS NULL OR to_regtype(format('%I.halfvec', home)) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE task_vector (task_id uuid PRIMARY KEY, embedding %I.halfvec NOT NULL)', home);
    -- What nobody can claim any more is nobody's near copy.
    CREATE FUNCTION forget_vector() RETURNS trigger LANGUAGE plpgsql AS $f$
    BEGIN
        DELETE FROM task_vector WHERE task_id = NEW.task_id;
        RETURN NULL;
    END $f$;
    CREATE TRIGGER task_settled AFTER UPDATE OF state ON task FOR EACH ROW
    WHEN (NEW.state IN ('published', 'superseded', 'withdrawn')) EXECUTE FUNCTION forget_vector();
    EXECUTE format($f$
        CREATE FUNCTION file_vectors(items uuid[], embeddings text[]) RETURNS void LANGUAGE sql
        SET search_path = %1$I, %2$I AS $q$
            INSERT INTO task_vector
            SELECT t.task_id, k.embedding::halfvec FROM unnest(items, embeddings) AS k (review_id, embedding)
            JOIN task t ON coalesce(t.review_id, t.task_id) = k.review_id
            WHERE t.state IN ('pending', 'leased', 'decided')
            ON CONFLICT DO NOTHING
        $q$;
        CREATE FUNCTION vectors_near(item uuid, nearness double precision)
        RETURNS TABLE (task_id uuid, similarity double precision) LANGUAGE sql STABLE
        SET search_path = %1$I, %2$I AS $q$
            SELECT v.task_id, 1 - (v.embedding <=> i.embedding) FROM task_vector i
            JOIN task_vector v ON vector_dims(v.embedding) = vector_dims(i.embedding)
            WHERE i.task_id = item AND v.task_id <> item AND v.embedding <=> i.embedding <= 1 - nearness
        $q$ $f$, current_schema(), home);
    RETURN true;
END $$;
SELECT keep_vectors();
