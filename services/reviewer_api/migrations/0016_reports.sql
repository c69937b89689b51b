-- What users reported, without who did. The router tells of each report once; a repeat changes nothing.
CREATE TABLE content_report (
    source      text        NOT NULL,
    report_id   text        NOT NULL,
    content_id  text        NOT NULL,
    reason      text        NOT NULL,
    note        text,
    reported_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (source, report_id)
);
CREATE INDEX content_report_of_content ON content_report (source, content_id);
