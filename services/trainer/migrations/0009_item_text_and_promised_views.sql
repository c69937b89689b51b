-- The text that a revision was first judged on: every label of it was given on that text, and on no other.
CREATE TABLE item_text (
    source      text    NOT NULL,
    content_id  text    NOT NULL,
    revision    integer NOT NULL CHECK (revision >= 1),
    text_sha256 bytea   NOT NULL,
    PRIMARY KEY (source, content_id, revision),
    UNIQUE (source, content_id, revision, text_sha256)
);

-- Until now an identity could come again with another text. What training used was the text of the newest judgement:
-- it stays, and labels that were given on another one are set aside here, whole. Nothing reads them.
INSERT INTO item_text
SELECT DISTINCT ON (source, content_id, revision) source, content_id, revision, text_sha256
FROM label ORDER BY source, content_id, revision, labelled_at DESC, label_id;

CREATE TABLE label_of_another_text (LIKE label);
WITH moved AS (
    DELETE FROM label l USING item_text i
    WHERE (i.source, i.content_id, i.revision) = (l.source, l.content_id, l.revision) AND i.text_sha256 <> l.text_sha256
    RETURNING l.*
)
INSERT INTO label_of_another_text SELECT * FROM moved;

ALTER TABLE label ADD CONSTRAINT label_of_one_text FOREIGN KEY (source, content_id, revision, text_sha256)
    REFERENCES item_text (source, content_id, revision, text_sha256);

-- A promise to readers outside the trainer (the command line): columns of this view may be added, never renamed, removed
-- or changed in meaning, whatever becomes of the tables.

-- Which revisions have labels, and the SHA-256 of the UTF-8 text that these were given on.
CREATE VIEW judged_text AS SELECT source, content_id, revision, text_sha256 FROM item_text;
