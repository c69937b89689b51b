-- Items that were sent back to the review queue, each at most once: an answer of theirs looked wrong to a model that had
-- not learned from it. What came of it is the item's next row in `label`.
CREATE TABLE second_look (
    source     text             NOT NULL,
    content_id text             NOT NULL,
    revision   integer          NOT NULL CHECK (revision >= 1),
    label      text             NOT NULL,
    given      boolean          NOT NULL,  -- what people had said of that label
    score      double precision NOT NULL CHECK (score >= 0 AND score <= 1),  -- the model's probability of that
    run_id     uuid             NOT NULL REFERENCES run,
    asked_at   timestamptz      NOT NULL,
    PRIMARY KEY (source, content_id, revision)
);
