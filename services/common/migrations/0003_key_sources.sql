-- The sources whose content a key may send and withdraw; NULL, as for all keys before this migration: any.
ALTER TABLE api_key ADD COLUMN sources text[] CHECK (cardinality(sources) > 0);
