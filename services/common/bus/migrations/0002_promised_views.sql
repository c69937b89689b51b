-- A promise to readers outside the bus (the command line): columns of this view may be added, never renamed, removed or
-- changed in meaning, whatever becomes of the tables.

-- What the log of the embedded bus still holds. `value` is the body as it was published, JSON in UTF-8.
CREATE VIEW published_record AS
SELECT topic, partition, "offset", key, value, headers, written_at FROM record;
