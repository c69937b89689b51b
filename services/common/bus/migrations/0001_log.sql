-- The log. Offsets are dense in every partition: they are given out under a lock on the partition's row that is held
-- until commit, so a reader that sees offset n has seen, or can see, everything before n.
CREATE TABLE partition (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    compacted   boolean NOT NULL DEFAULT false,
    next_offset bigint  NOT NULL DEFAULT 0,
    floor       bigint  NOT NULL DEFAULT 0 CHECK (floor <= next_offset),  -- records below are removed
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE record (
    topic      text        NOT NULL,
    partition  integer     NOT NULL,
    "offset"   bigint      NOT NULL,
    key        text        NOT NULL,
    value      bytea       NOT NULL,
    headers    jsonb       NOT NULL CHECK (jsonb_typeof(headers) = 'object'),
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
ALTER TABLE record ALTER COLUMN value SET STORAGE EXTERNAL;

-- How far each group has read: for lag and retention only. The position that counts lives with the group's effects.
CREATE TABLE progress (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,
    partition      integer NOT NULL,
    next_offset    bigint  NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition)
);

-- Append in the caller's transaction. Partitions are locked in sorted order, so writers cannot deadlock. Call it last:
-- the locks are held until commit. READ COMMITTED only.
CREATE FUNCTION append(topics text[], partitions integer[], keys text[], contents bytea[], header_sets jsonb[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    slot record;
BEGIN
    FOR slot IN
        SELECT m.topic, m.partition, count(*) AS size
        FROM unnest(topics, partitions) AS m(topic, partition)
        GROUP BY m.topic, m.partition ORDER BY m.topic, m.partition
    LOOP
        UPDATE bus.partition p SET next_offset = p.next_offset + slot.size
        WHERE p.topic = slot.topic AND p.partition = slot.partition;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'topic % has no partition %', slot.topic, slot.partition
                USING ERRCODE = 'undefined_object';
        END IF;
    END LOOP;

    INSERT INTO bus.record (topic, partition, "offset", key, value, headers)
    SELECT m.topic, m.partition,
           p.next_offset - count(*) OVER w + row_number() OVER (w ORDER BY m.place) - 1,
           m.key, m.value, m.headers
    FROM unnest(topics, partitions, keys, contents, header_sets)
         WITH ORDINALITY AS m(topic, partition, key, value, headers, place)
    JOIN bus.partition p USING (topic, partition)
    WINDOW w AS (PARTITION BY m.topic, m.partition);

    PERFORM pg_notify('bus', '');
END $$;

-- Remove records written before `cutoff` that every known group has read. Returns how many.
CREATE FUNCTION remove_before(cutoff timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    slot    record;
    bound   bigint;
    removed bigint := 0;
    size    bigint;
BEGIN
    FOR slot IN SELECT p.topic, p.partition FROM bus.partition p WHERE NOT p.compacted
                ORDER BY p.topic, p.partition LOOP
        PERFORM 1 FROM bus.partition p WHERE p.topic = slot.topic AND p.partition = slot.partition FOR UPDATE;
        SELECT least(
            coalesce((SELECT min(r."offset") FROM bus.record r
                      WHERE r.topic = slot.topic AND r.partition = slot.partition AND r.written_at >= cutoff),
                     (SELECT p.next_offset FROM bus.partition p
                      WHERE p.topic = slot.topic AND p.partition = slot.partition)),
            (SELECT min(g.next_offset) FROM bus.progress g
             WHERE g.topic = slot.topic AND g.partition = slot.partition)
        ) INTO bound;
        DELETE FROM bus.record r
        WHERE r.topic = slot.topic AND r.partition = slot.partition AND r."offset" < bound;
        GET DIAGNOSTICS size = ROW_COUNT;
        removed := removed + size;
        UPDATE bus.partition p SET floor = bound
        WHERE p.topic = slot.topic AND p.partition = slot.partition AND p.floor < bound;
    END LOOP;
    RETURN removed;
END $$;
