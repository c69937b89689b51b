-- What an item is about: the embedding by the model that routed it, float16 in little-endian order, as the request carried
-- it. Null: it carried none, or came before this column. Only noticing reads it.
ALTER TABLE asked ADD COLUMN embedding bytea;
