-- Task ids told what a task is: they were computed from public values. From now on they are random, and the id of the
-- request, which makes a repeated request one task, is kept where no API shows it. It is null where it still is the id
-- of the task: a task of before, or one that a service of the version before has made meanwhile.
ALTER TABLE task ADD COLUMN review_id uuid UNIQUE;
ALTER TABLE task ALTER COLUMN task_id SET DEFAULT gen_random_uuid();

-- What a client of before may still undo by: the id of the decision, for verdicts whose grace is not over. Null for all
-- other tasks, and for every task to come: the id of its task names what to undo.
ALTER TABLE task ADD COLUMN formerly uuid UNIQUE;
UPDATE task t SET formerly = decision_id
WHERE EXISTS (SELECT FROM judgement j WHERE j.task_id = t.task_id AND j.undone_at IS NULL AND j.undo_until > now());

-- Tasks that nobody holds get fresh ids. One that is leased or was just decided keeps the id that its client knows.
CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS
SELECT task_id, gen_random_uuid() AS fresh_id FROM task WHERE state = 'pending';
ALTER TABLE task_payload DROP CONSTRAINT task_payload_task_id_fkey;
ALTER TABLE judgement DROP CONSTRAINT judgement_task_id_fkey;
UPDATE task_payload p SET task_id = f.fresh_id FROM fresh f WHERE p.task_id = f.task_id;
UPDATE judgement j SET task_id = f.fresh_id FROM fresh f WHERE j.task_id = f.task_id;
UPDATE task t SET task_id = f.fresh_id, review_id = f.task_id FROM fresh f WHERE t.task_id = f.task_id;
ALTER TABLE task_payload ADD FOREIGN KEY (task_id) REFERENCES task;
ALTER TABLE judgement ADD FOREIGN KEY (task_id) REFERENCES task;
DROP TABLE fresh;

-- Whether a person has an open task of this content in hands: holds it, has just decided it, or gave a first opinion.
CREATE FUNCTION has_in_hands(person text, of_source text, of_content_id text) RETURNS boolean LANGUAGE sql STABLE
RETURN EXISTS (
    SELECT FROM task t
    WHERE t.source = of_source AND t.content_id = of_content_id AND t.state IN ('pending', 'leased', 'decided')
      AND (t.leased_by = person OR EXISTS (
          SELECT FROM judgement j WHERE j.task_id = t.task_id AND j.reviewer = person AND j.undone_at IS NULL
      ))
);
