-- Positions and dead letters by log: offsets of the embedded bus mean nothing on Kafka, nor those of another cluster.
ALTER TABLE consumer_position ADD COLUMN log text NOT NULL DEFAULT 'postgres';
ALTER TABLE consumer_position DROP CONSTRAINT consumer_position_pkey,
    ADD PRIMARY KEY (consumer_group, log, topic, partition);
ALTER TABLE dead_letter ADD COLUMN log text NOT NULL DEFAULT 'postgres';
ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_pkey, ADD PRIMARY KEY (log, topic, partition, "offset");

-- What was published with a transaction and is not yet on Kafka: one row a transaction and shard, removed once sent.
-- `id` is drawn under the shard's lock, so within a shard it has the order of the commits. Messages of one key are in
-- one shard. The arrays belong together, element by element.
CREATE TABLE outbox (
    shard      smallint    NOT NULL,
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    topics     text[]      NOT NULL,
    keys       text[]      NOT NULL,
    contents   bytea[]     NOT NULL,
    header_sets text[]     NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, id),
    CHECK (cardinality(topics) > 0 AND cardinality(topics) = cardinality(keys)
           AND cardinality(topics) = cardinality(contents) AND cardinality(topics) = cardinality(header_sets))
);
ALTER TABLE outbox ALTER COLUMN contents SET STORAGE EXTERNAL, ALTER COLUMN header_sets SET STORAGE EXTERNAL;

-- Add messages to the outbox in the caller's transaction. The locks that give a shard's rows the order of the commits
-- are held until commit: call it last. Shards are locked in sorted order, so writers cannot deadlock. READ COMMITTED only.
CREATE FUNCTION outbox_append(shards smallint[], topics text[], keys text[], contents bytea[], header_sets text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(current_schema || '/outbox'), s.shard)
    FROM (SELECT DISTINCT unnest(shards)::int AS shard ORDER BY 1) AS s;

    INSERT INTO outbox (shard, topics, keys, contents, header_sets)
    SELECT m.shard, array_agg(m.topic ORDER BY m.place), array_agg(m.key ORDER BY m.place),
           array_agg(m.value ORDER BY m.place), array_agg(m.headers ORDER BY m.place)
    FROM unnest(shards, topics, keys, contents, header_sets)
         WITH ORDINALITY AS m(shard, topic, key, value, headers, place)
    GROUP BY m.shard ORDER BY m.shard;

    PERFORM pg_notify('outbox', current_schema);
END $$;
