"""Choose among what waits, in Postgres: list it, claim some of it by name, let go of what a closed page held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.postgres import Connection, Row
from secondlook.reviewer_api.texts import excerpt, matches

# A condition on `task`, for the fields of Chosen from the parameter $8 on.
MATCHES = f"""
($8::uuid[] IS NULL OR task_id = ANY ($8)) AND ($9::text IS NULL OR source = $9)
AND ($10::text IS NULL AND $11::text IS NULL AND $12::text IS NULL AND $13::text IS NULL OR EXISTS (
    SELECT FROM task_payload m WHERE m.task_id = task.task_id
      AND ($10::text IS NULL OR m.content ->> 'kind' = $10)
      AND ($11::text IS NULL OR m.content ->> 'language' = $11)
      AND ($12::text IS NULL OR m.content ->> 'author_id' = $12)
      AND ($13::text IS NULL OR {matches("m", "$13")})))
"""
# What lists show of an open item.
LISTED = f"""t.task_id, t.queue, t.source, t.content_id, t.revision, p.content ->> 'kind' AS kind,
       p.content ->> 'author_id' AS author_id, {excerpt("p")}, t.created_at,
       CASE WHEN t.available_at > $1 THEN t.state ELSE 'pending' END AS state"""
WAITING = f"""
SELECT {LISTED}
FROM task t JOIN task_payload p USING (task_id)
WHERE t.state IN ('pending', 'leased') AND (t.queue = ANY ($2::text[])) IS NOT FALSE AND (NOT t.escalated OR $3)
  AND ($4::text IS NULL OR t.source = $4) AND ($5::text IS NULL OR p.content ->> 'author_id' = $5)
  AND ($6::text IS NULL OR {matches("p", "$6")})
  AND ($7::uuid IS NULL OR (t.rank, t.task_id) > (SELECT a.rank, a.task_id FROM task a WHERE a.task_id = $7))
ORDER BY t.rank, t.task_id LIMIT $8
"""  # noqa: S608 - made of constants
LEAVE = """
UPDATE task t SET available_at = $4 FROM unnest($1::uuid[], $2::uuid[]) AS k(task_id, lease_token)
WHERE t.task_id = k.task_id AND t.lease_token = k.lease_token AND t.leased_by = $3 AND t.state = 'leased'
  AND t.available_at > $4
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which items a claim is about; None: whatever it is. The order of the fields is that of the parameters."""

    task_ids: Sequence[UUID] | None = None
    source: str | None = None
    kind: str | None = None
    language: str | None = None
    author_id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """Which open items to list. `queues` None: of all."""

    queues: Sequence[str] | None
    escalated: bool
    source: str | None = None
    author_id: str | None = None
    text: str | None = None


async def waiting(connection: Connection, now: datetime, wanted: Listed, after: UUID | None, limit: int) -> list[Row]:
    """Open items in the order of claims, behind the item `after`."""
    return await connection.fetch(
        WAITING, now, wanted.queues, wanted.escalated, wanted.source, wanted.author_id, wanted.text, after, limit
    )


async def leave(connection: Connection, tokens: Mapping[UUID, UUID], reviewer: str, until: datetime) -> None:
    """Let the reviewer's leases end at `until` where they would end later: the token by item."""
    await connection.execute(LEAVE, list(tokens), list(tokens.values()), reviewer, until)
