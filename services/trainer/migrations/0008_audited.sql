-- The automatic decision that a judgement audits: null where a person decided first.
ALTER TABLE label ADD COLUMN audited_outcome text CHECK (audited_outcome IN ('approve', 'reject'));
ALTER TABLE label ADD COLUMN audited_labels text[];
ALTER TABLE label ADD CHECK ((audited_outcome IS NULL) = (audited_labels IS NULL));

-- Judgements from before the event carried it: once, from the decisions that the reviewer API noted. Without them, these
-- audits are missing among the figures.
DO $$
BEGIN
    IF to_regclass('reviewer.decision_log') IS NOT NULL THEN
        UPDATE label l SET audited_outcome = d.outcome, audited_labels = d.labels
        FROM reviewer.decision_log d
        WHERE d.decided_by = 'model' AND (d.source, d.content_id, d.revision) = (l.source, l.content_id, l.revision);
    END IF;
END $$;

CREATE INDEX label_audited ON label (received) WHERE audited_outcome IS NOT NULL;
