"""Holds and ended leases in Postgres: count what a reviewer has in hand, keep how a lease went on or ended."""

from datetime import datetime
from uuid import UUID

from secondlook.common.contract.policy import ReviewPolicy
from secondlook.common.postgres import Connection, fetch_one
from secondlook.reviewer_api.leases.hand import COUNTED, Hand, LeaseEnd

ENTER = """
INSERT INTO reviewer_seen (reviewer, seen_at) VALUES ($1, $2)
ON CONFLICT (reviewer) DO UPDATE SET seen_at = excluded.seen_at
"""
LOCK = """
INSERT INTO reviewer_seen AS s (reviewer, seen_at) VALUES ($1, '-infinity')
ON CONFLICT (reviewer) DO UPDATE SET seen_at = s.seen_at
"""
HAND = """
SELECT held.live, held.lapsed + ended.returned + given.undone AS returned, given.judged
FROM (
    SELECT count(*) FILTER (WHERE available_at > $2) AS live,
           count(*) FILTER (WHERE available_at <= $2 AND available_at > $3) AS lapsed
    FROM task WHERE leased_by = $1 AND state = 'leased'
) AS held, (
    SELECT count(*) AS returned FROM returned_lease
    WHERE reviewer = $1 AND returned_at > $3 AND how <> 'taken_back'
) AS ended, (
    SELECT count(DISTINCT coalesce(bulk_id, lease_token)) FILTER (WHERE undone_at IS NULL) AS judged,
           count(DISTINCT coalesce(bulk_id, lease_token)) FILTER (WHERE undone_at IS NOT NULL) AS undone
    FROM judgement WHERE reviewer = $1 AND judged_at > $3
) AS given
"""
HOLD = """
INSERT INTO hold (task_id, reviewer, since, again_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (task_id, reviewer) DO UPDATE SET since = excluded.since, again_at = excluded.again_at
"""
# What was undone too late to count as a correction goes to the others first, like what was released.
AFTER_UNDO = """
UPDATE hold SET again_at = CASE WHEN since + $4 > $3 THEN $3 ELSE $3 + $5 END WHERE task_id = $1 AND reviewer = $2
"""
END = """
INSERT INTO returned_lease (lease_token, task_id, reviewer, how, returned_at) VALUES ($1, $2, $3, $4, $5)
"""
ENDED = "SELECT how FROM returned_lease WHERE lease_token = $1 AND reviewer = $2"


async def enter(connection: Connection, reviewer: str, now: datetime) -> Hand:
    """What a reviewer who calls has in hand. Until this transaction ends, nobody else changes how much they hold."""
    await connection.execute(ENTER, reviewer, now)
    return await _hand(connection, reviewer, now)


async def lock(connection: Connection, reviewer: str, now: datetime) -> Hand:
    """As `enter`, about a reviewer who does not call."""
    await connection.execute(LOCK, reviewer)
    return await _hand(connection, reviewer, now)


async def _hand(connection: Connection, reviewer: str, now: datetime) -> Hand:
    return Hand(**await fetch_one(connection, HAND, reviewer, now, now - COUNTED))


async def hold(connection: Connection, task_id: UUID, reviewer: str, since: datetime, again_at: datetime) -> None:
    """Keep since when a reviewer has had an item in hand, and before when others come first."""
    await connection.execute(HOLD, task_id, reviewer, since, again_at)


async def after_undo(connection: Connection, task_id: UUID, reviewer: str, now: datetime, limits: ReviewPolicy) -> None:
    """The reviewer who undid may have the item again at once, as long as they might have kept it."""
    await connection.execute(AFTER_UNDO, task_id, reviewer, now, limits.max_hold, limits.others_first)


async def end(connection: Connection, token: UUID, task_id: UUID, reviewer: str, how: LeaseEnd, now: datetime) -> None:
    """Keep how a lease ended without a verdict."""
    await connection.execute(END, token, task_id, reviewer, how.value, now)


async def ended(connection: Connection, token: UUID, reviewer: str) -> LeaseEnd | None:
    """How this reviewer's lease ended; None if it holds, ended with a verdict, or never was."""
    how = await connection.fetchval(ENDED, token, reviewer)
    return how and LeaseEnd(how)
