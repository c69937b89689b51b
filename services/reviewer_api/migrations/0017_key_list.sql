-- How often the list of API keys was published: the version of the newest one. Its row is the lock under which it is.
CREATE TABLE key_list (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint  NOT NULL DEFAULT 0
);
INSERT INTO key_list DEFAULT VALUES;
