"""What an author wrote before, a thread, and notes, in Postgres. Only settled content: none with an open task."""

from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection, Row
from secondlook.reviewer_api.review.reasons import DECIDING
from secondlook.reviewer_api.texts import excerpt

RECENT, THREAD = 10, 20
MOST = 500  # of an author's pieces of content that are counted

# Of each piece of content the newest review and decision. What has an open task of any kind is left out: its decision
# would tell what the task is for.
_SETTLED = f"""
SELECT DISTINCT ON (t.source, t.content_id) t.source, t.content_id, t.created_at,
       {excerpt("p")}, p.content ->> 'author_id' AS author_id,
       d.outcome, coalesce(d.labels, '{{}}') AS labels, d.decided_at
FROM task_payload p JOIN task t USING (task_id)
LEFT JOIN LATERAL (
    SELECT * FROM decision_log g WHERE g.source = t.source AND g.content_id = t.content_id
    ORDER BY g.sequence DESC LIMIT 1
) AS d ON true
WHERE p.content ->> 'source' = $1 AND {{which}} = $2 AND t.content_id <> $3 AND p.why = ANY ($4::text[])
  AND NOT EXISTS (
      SELECT FROM task o WHERE o.source = t.source AND o.content_id = t.content_id
      AND o.state IN ('pending', 'leased', 'decided'))
ORDER BY t.source, t.content_id, t.created_at DESC
"""  # noqa: S608 - made of constants
OF_AUTHOR = f"""
SELECT * FROM ({_SETTLED.replace("{which}", "p.content ->> 'author_id'")}) AS settled
WHERE outcome IS NOT NULL ORDER BY decided_at DESC LIMIT $5
"""  # noqa: S608
OF_THREAD = f"""
SELECT * FROM ({_SETTLED.replace("{which}", "p.content -> 'context' ->> 'url'")}) AS settled
ORDER BY created_at DESC LIMIT $5
"""  # noqa: S608
HELD = """
SELECT t.source, t.content_id, p.content ->> 'author_id' AS author_id, p.content -> 'context' ->> 'url' AS url,
       (SELECT min(o.created_at) FROM task o
        WHERE (o.source, o.content_id, o.revision) = (t.source, t.content_id, t.revision)) AS first_asked
FROM task t JOIN task_payload p USING (task_id)
WHERE t.task_id = $1 AND t.state = 'leased' AND t.leased_by = $2 AND t.available_at > $3
"""
NOTES = """
SELECT written_by, written_at, body FROM note
WHERE source = $1 AND content_id = $2 AND ($3::timestamptz IS NULL OR written_at < $3)
ORDER BY written_at DESC, note_id LIMIT 100
"""
KNOWN = "SELECT EXISTS (SELECT FROM task WHERE source = $1 AND content_id = $2)"
WRITE = "INSERT INTO note (source, content_id, written_by, written_at, body) VALUES ($1, $2, $3, $4, $5)"


async def held(connection: Connection, task_id: UUID, reviewer: str, now: datetime) -> Row | None:
    """Where the item belongs that the reviewer holds under this task; None if they hold none."""
    return await connection.fetchrow(HELD, task_id, reviewer, now)


async def of_author(connection: Connection, source: str, author_id: str, but: str) -> list[dict[str, Any]]:
    """The author's newest settled pieces of content that were decided, but one; MOST at the most."""
    rows = await connection.fetch(OF_AUTHOR, source, author_id, but, DECIDING, MOST)
    return [dict(row) for row in rows]


async def of_thread(connection: Connection, source: str, url: str, but: str) -> list[dict[str, Any]]:
    """The newest settled pieces of content of the same page, but one."""
    rows = await connection.fetch(OF_THREAD, source, url, but, DECIDING, THREAD)
    return [dict(row) for row in rows]


async def notes(
    connection: Connection, source: str, content_id: str, before: datetime | None = None
) -> list[dict[str, Any]]:
    """Notes on a piece of content, written before then, newest first, 100 at the most."""
    return [dict(row) for row in await connection.fetch(NOTES, source, content_id, before)]


async def known(connection: Connection, source: str, content_id: str) -> bool:
    """Whether anybody was ever asked about the content."""
    found: bool = await connection.fetchval(KNOWN, source, content_id)
    return found


async def write(connection: Connection, source: str, content_id: str, by: str, now: datetime, body: str) -> None:
    await connection.execute(WRITE, source, content_id, by, now, body)
