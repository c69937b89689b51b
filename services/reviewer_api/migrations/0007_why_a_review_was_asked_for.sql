-- A column more for readers outside the reviewer API: a revision has one first review, and any number that look again.
CREATE OR REPLACE VIEW requested_review AS
SELECT task_id, t.source, t.content_id, t.revision, t.state, p.why FROM task t JOIN task_payload p USING (task_id);
