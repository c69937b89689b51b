-- What an item is about: the embedding by the model that routed it, float16 in little-endian order, as the request carried
-- it. Null: it carried none, or came before this column. `reports`: how many users had reported it when it was routed.
-- Only noticing reads the two.
ALTER TABLE asked ADD COLUMN embedding bytea, ADD COLUMN reports integer NOT NULL DEFAULT 0;
