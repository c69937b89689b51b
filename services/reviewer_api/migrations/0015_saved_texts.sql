-- What a person writes often, in notes and reasons: for themselves alone.
CREATE TABLE saved_text (
    text_id  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    owner    text        NOT NULL,
    body     text        NOT NULL,
    saved_at timestamptz NOT NULL,
    UNIQUE (owner, body)
);
