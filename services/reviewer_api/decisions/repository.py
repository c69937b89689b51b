"""The decision log, and the reviews of one piece of content."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from secondlook.common.contract.events import ContentDecided, ContentSubmitted
from secondlook.common.postgres import Connection
from secondlook.reviewer_api.review.reasons import DECIDING

INSERT = """
INSERT INTO decision_log (decision_id, source, content_id, revision, sequence, outcome, labels, action, decided_by,
                          decided_at, confidence, policy_version, bundle_version, reason, supersedes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING
"""
# Numbers without gaps, in the order of the commits: whoever holds the row of `feed_head` is the next to commit.
NUMBER = """
WITH new AS (
    SELECT n.decision_id, row_number() OVER (ORDER BY min(n.place)) AS place
    FROM unnest($1::uuid[]) WITH ORDINALITY AS n(decision_id, place) JOIN decision_log USING (decision_id)
    WHERE NOT EXISTS (SELECT FROM feed f WHERE f.decision_id = n.decision_id) GROUP BY n.decision_id
), head AS (
    UPDATE feed_head SET position = position + (SELECT count(*) FROM new) RETURNING position
)
INSERT INTO feed (position, decision_id)
SELECT head.position - (SELECT count(*) FROM new) + new.place, new.decision_id FROM new, head
"""
EXISTS = """
SELECT EXISTS (
    SELECT FROM decision_log
    WHERE decision_id = $1 AND ($2::text IS NULL OR decided_by = $2) AND NOT has_in_hands($3, source, content_id)
)
"""
PAGE = """
SELECT * FROM decision_log
WHERE ($1::text IS NULL OR outcome = $1)
  AND ($2::text IS NULL OR decided_by = $2)
  AND ($3::text IS NULL OR source = $3)
  AND ($4::uuid IS NULL OR (decided_at, decision_id) <
       (SELECT a.decided_at, a.decision_id FROM decision_log a WHERE a.decision_id = $4))
  AND ($6::text IS NULL OR decided_by = $6)
  AND NOT has_in_hands($7, source, content_id)
  AND ($8::text[] IS NULL OR source = ANY ($8))
ORDER BY decided_at DESC, decision_id DESC
LIMIT $5
"""
OF_CONTENT = """
SELECT * FROM decision_log
WHERE source = $1 AND content_id = $2 AND ($3::text IS NULL OR decided_by = $3) ORDER BY sequence
"""
TASKS = """
SELECT t.task_id, t.revision, t.state, t.queue, t.created_at FROM task t JOIN task_payload p USING (task_id)
WHERE t.source = $1 AND t.content_id = $2 AND p.why = ANY ($3::text[])
  AND ($4::text IS NULL OR EXISTS (
      SELECT FROM judgement j WHERE j.task_id = t.task_id AND j.reviewer = $4 AND j.undone_at IS NULL))
ORDER BY t.revision, t.created_at, t.task_id
"""
TEXT = """
SELECT p.content::text FROM task t JOIN task_payload p USING (task_id)
WHERE t.source = $1 AND t.content_id = $2 AND p.why = ANY ($3::text[])
ORDER BY t.revision DESC, t.created_at LIMIT 1
"""
JUDGEMENTS = """
SELECT t.revision, j.reviewer, j.outcome, j.labels, j.note, j.judged_at, j.undone_at IS NOT NULL AS undone
FROM task t JOIN task_payload p USING (task_id) JOIN judgement j USING (task_id)
WHERE t.source = $1 AND t.content_id = $2 AND p.why = ANY ($3::text[]) ORDER BY j.number
"""
IN_REVIEW = """
SELECT DISTINCT revision FROM task
WHERE source = $1 AND content_id = $2 AND state IN ('pending', 'leased', 'decided')
  AND ($3::text IS NULL OR has_in_hands($3, source, content_id))
ORDER BY revision
"""


async def insert(connection: Connection, decisions: Sequence[ContentDecided]) -> None:
    """Add the decisions that are not in the log yet, and number them for those who follow. Called last."""
    await connection.executemany(
        INSERT,
        [
            (
                d.decision_id, d.source, d.content_id, d.revision, d.sequence, d.outcome, list(d.labels), d.action,
                d.decided_by, d.decided_at, d.confidence, d.policy_version, d.bundle_version, d.reason, d.supersedes,
            )
            for d in decisions
        ],
    )  # fmt: skip
    await connection.execute(NUMBER, [d.decision_id for d in decisions])


async def exists(connection: Connection, decision_id: UUID, by: str | None, reader: str) -> bool:
    """Whether `page` shows this decision to this reader."""
    found: bool = await connection.fetchval(EXISTS, decision_id, by, reader)
    return found


async def page(
    connection: Connection,
    outcome: str | None,
    decided_by: str | None,
    source: str | None,
    after: UUID | None,
    limit: int,
    *,
    by: str | None,
    reader: str,
    sources: Collection[str] | None,
) -> list[dict[str, Any]]:
    """Decisions that match, newest first, behind the decision `after`, which must exist.

    Only those by `by`, and on content of `sources`, if these are given, and none on content of which `reader` has an
    open task in hands.
    """
    bound = None if sources is None else list(sources)
    rows = await connection.fetch(PAGE, outcome, decided_by, source, after, limit, by, reader, bound)
    return [dict(row) for row in rows]


async def of_content(connection: Connection, source: str, content_id: str, by: str | None) -> list[dict[str, Any]]:
    """The decisions on one piece of content, by sequence; only those by `by`, if that is given."""
    return [dict(row) for row in await connection.fetch(OF_CONTENT, source, content_id, by)]


async def tasks_of_content(
    connection: Connection, source: str, content_id: str, by: str | None
) -> list[dict[str, Any]]:
    """The reviews of one piece of content that may decide it, by revision; gold ones are left out.

    Only those that `by` has judged, if that is given.
    """
    return [dict(row) for row in await connection.fetch(TASKS, source, content_id, DECIDING, by)]


async def text(connection: Connection, source: str, content_id: str) -> ContentSubmitted | None:
    """The newest revision that people were asked about."""
    found = await connection.fetchval(TEXT, source, content_id, DECIDING)
    return ContentSubmitted.model_validate_json(found) if found else None


async def judgements(connection: Connection, source: str, content_id: str) -> list[dict[str, Any]]:
    """What people said of the content, oldest first, undone judgements too; gold ones are left out."""
    return [dict(row) for row in await connection.fetch(JUDGEMENTS, source, content_id, DECIDING)]


async def in_review(connection: Connection, source: str, content_id: str, reader: str | None) -> list[int]:
    """The revisions with an open task, gold ones too; if `reader` is given, none unless they have one in hands."""
    return [row["revision"] for row in await connection.fetch(IN_REVIEW, source, content_id, reader)]
