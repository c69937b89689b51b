-- What people find content by. The texts lie in `content`, so that each is kept once.
CREATE INDEX task_payload_author ON task_payload ((content ->> 'source'), (content ->> 'author_id'))
    WHERE content ->> 'author_id' IS NOT NULL;
CREATE INDEX task_payload_thread ON task_payload ((content ->> 'source'), (content -> 'context' ->> 'url'))
    WHERE content -> 'context' ->> 'url' IS NOT NULL;
CREATE INDEX task_payload_words ON task_payload USING gin (to_tsvector('simple', content ->> 'text'));
CREATE INDEX task_newest ON task (created_at DESC, task_id DESC);
CREATE INDEX judgement_at ON judgement (judged_at);

-- What people write about a piece of content for each other. It is shown beside later reviews of it, too.
CREATE TABLE note (
    note_id    uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    source     text        NOT NULL,
    content_id text        NOT NULL,
    written_by text        NOT NULL,
    written_at timestamptz NOT NULL,
    body       text        NOT NULL
);
CREATE INDEX note_of_content ON note (source, content_id, written_at);
