"""Search in Postgres: one statement, newest first, in pages."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection
from secondlook.reviewer_api.review.reasons import DECIDING
from secondlook.reviewer_api.texts import excerpt, matches

# One row a revision: of its reviews the newest stands for it. `$1` reads: none of content that they have in hands, and,
# where `$2` is given, only what that person judged and nobody is asked about any more, and what that person decided.
SEARCH = f"""
SELECT t.task_id, t.source, t.content_id, t.revision, t.queue, t.created_at, t.state,
       p.content ->> 'kind' AS kind, p.content ->> 'author_id' AS author_id,
       {excerpt("p")},
       d.outcome, coalesce(d.labels, '{{}}') AS labels, d.decided_by, d.decided_at
FROM task t JOIN task_payload p USING (task_id)
LEFT JOIN LATERAL (
    SELECT * FROM decision_log g
    WHERE g.source = t.source AND g.content_id = t.content_id AND g.revision = t.revision
      AND ($2::text IS NULL OR g.decided_by = $2)
    ORDER BY g.sequence DESC LIMIT 1
) AS d ON true
WHERE p.why = ANY ($3::text[]) AND NOT has_in_hands($1, t.source, t.content_id)
  AND NOT EXISTS (
      SELECT FROM task n JOIN task_payload m USING (task_id)
      WHERE (n.source, n.content_id, n.revision) = (t.source, t.content_id, t.revision) AND m.why = ANY ($3::text[])
        AND (n.created_at, n.task_id) > (t.created_at, t.task_id))
  AND ($2::text IS NULL OR (
      EXISTS (SELECT FROM judgement j JOIN task o USING (task_id)
              WHERE (o.source, o.content_id, o.revision) = (t.source, t.content_id, t.revision)
                AND j.reviewer = $2 AND j.undone_at IS NULL)
      AND NOT EXISTS (SELECT FROM task o WHERE o.source = t.source AND o.content_id = t.content_id
                      AND o.state IN ('pending', 'leased', 'decided'))))
  AND ($4::text IS NULL OR {matches("p", "$4")})
  AND ($5::text IS NULL OR t.source = $5)
  AND ($6::text IS NULL OR p.content ->> 'author_id' = $6)
  AND ($7::text IS NULL OR $7 = ANY (d.labels))
  AND ($8::text IS NULL OR d.outcome = $8)
  AND ($9::text IS NULL OR d.decided_by = $9)
  AND ($10::text IS NULL OR t.queue = $10)
  AND ($11::text IS NULL OR CASE $11 WHEN 'in_review' THEN t.state IN ('pending', 'leased', 'decided')
                                     WHEN 'decided' THEN t.state = 'published' ELSE t.state = $11 END)
  AND ($12::timestamptz IS NULL OR t.created_at >= $12)
  AND ($13::timestamptz IS NULL OR t.created_at < $13)
  AND ($14::uuid IS NULL OR (t.created_at, t.task_id) < (
      SELECT a.created_at, a.task_id FROM task a WHERE a.task_id = $14))
ORDER BY t.created_at DESC, t.task_id DESC LIMIT $15
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; None: whatever it is. The order of the fields is that of the statement's parameters."""

    text: str | None = None
    source: str | None = None
    author_id: str | None = None
    label: str | None = None
    outcome: str | None = None
    decided_by: str | None = None
    queue: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def search(
    connection: Connection, reader: str, by: str | None, wanted: Wanted, after: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """What was sent to review and matches, newest first, behind the row `after`.

    `reader`: of content that they have in hands nothing is found. `by`: only what they judged, and is settled.
    """
    values = [getattr(wanted, field.name) for field in fields(wanted)]
    rows = await connection.fetch(SEARCH, reader, by, DECIDING, *values, after, limit)
    return [dict(row) for row in rows]
