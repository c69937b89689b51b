"""Verdicts that were given together, in Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.contract.events import Why
from secondlook.common.postgres import Connection, fetch_one
from secondlook.reviewer_api.review.tasks import Verdict

GIVEN = """
SELECT task_id, reviewer, outcome, labels, note, undo_until, undone_at FROM judgement
WHERE bulk_id = $1 ORDER BY task_id
"""
# What somebody has judged before waits for a second opinion, which is a look of its own.
FRESH = """
SELECT t.task_id, p.why, p.u, p.drawn_below, t.leased_by = $2 AND t.state = 'leased' AND t.available_at > $3 AS held
FROM task t JOIN task_payload p USING (task_id)
WHERE t.task_id = ANY ($1::uuid[]) AND t.state IN ('pending', 'leased')
  AND NOT EXISTS (SELECT FROM judgement j WHERE j.task_id = t.task_id AND j.undone_at IS NULL)
"""
HOLDS = """
SELECT EXISTS (SELECT FROM task WHERE task_id = $1 AND leased_by = $2 AND state = 'leased' AND available_at > $3)
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))"


@dataclass(frozen=True, slots=True)
class GivenTogether:
    """One verdict of a bulk."""

    task_id: UUID
    reviewer: str
    verdict: Verdict
    undo_until: datetime
    undone: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """An open item that nobody has judged. `drawn_below`: the share that was drawn as evidence, where it is known."""

    task_id: UUID
    why: Why
    u: float
    drawn_below: float | None
    held: bool


async def lock(connection: Connection, bulk_id: UUID) -> list[GivenTogether]:
    """The verdicts of a bulk, undone ones included. Until this transaction ends, nobody else adds or undoes one."""
    await fetch_one(connection, LOCK, bulk_id)
    return [
        GivenTogether(
            row["task_id"], row["reviewer"], Verdict(row["outcome"], frozenset(row["labels"]), row["note"]),
            row["undo_until"], row["undone_at"] is not None,
        )
        for row in await connection.fetch(GIVEN, bulk_id)
    ]  # fmt: skip


async def fresh(connection: Connection, task_ids: Sequence[UUID], reviewer: str, now: datetime) -> list[Fresh]:
    """Those of the items that are open and that nobody has judged. `held`: by this reviewer."""
    rows = await connection.fetch(FRESH, task_ids, reviewer, now)
    return [Fresh(row["task_id"], Why(row["why"]), row["u"], row["drawn_below"], bool(row["held"])) for row in rows]


async def holds(connection: Connection, task_id: UUID, reviewer: str, now: datetime) -> bool:
    """Whether the reviewer holds the item."""
    found: bool = await connection.fetchval(HOLDS, task_id, reviewer, now)
    return found
