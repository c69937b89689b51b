"""The attempts to certify thresholds, and the alarms that switched sides off."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.bundle.sides import Side
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Queryable

# After an alarm the count of items starts anew, so older attempts are no measure of their growth. Attempts for bundles
# that were not promoted do not count for the active one.
LAST = """
SELECT CASE WHEN EXISTS (SELECT FROM alarm WHERE fired_at > c.started_at) THEN 0 ELSE c.items END AS items, c.started_at
FROM certification c JOIN run r USING (run_id) JOIN bundle b ON b.bundle_version = $2
WHERE c.claim = $1 AND (c.bundle_version = $2 OR (r.reason = 'certify' AND c.started_at >= b.created_at))
ORDER BY c.started_at DESC, c.certification_id DESC LIMIT 1
"""
ITEMS = """
SELECT count(DISTINCT (source, content_id, revision)) FROM label
WHERE split = 'certify' AND adjudicated AND labels <> '{}' AND received > $1 AND received <= $2
"""
A_WEEK = """
SELECT count(DISTINCT (source, content_id, revision)) FROM label
WHERE split = 'certify' AND adjudicated AND labels <> '{}' AND labelled_at > $1::timestamptz - interval '7 days'
"""
RELEASE = "UPDATE certification SET spent = false WHERE spent AND NOT looked"
LOOK = """
UPDATE certification SET looked = true
WHERE certification_id = (SELECT max(certification_id) FROM certification WHERE run_id = $1)
"""
BEGIN = """
INSERT INTO certification (claim, attempt, run_id, items, started_at)
SELECT $1, coalesce(max(attempt) FILTER (WHERE spent), 0) + 1, $2, $3, $4 FROM certification WHERE claim = $1
RETURNING attempt
"""
END = """
UPDATE certification SET spent = coalesce($2, looked), looked = true, bundle_version = $3, reasons = $4
WHERE certification_id = (SELECT max(certification_id) FROM certification WHERE run_id = $1)
"""
FIRE = """
INSERT INTO alarm (weights, side, audits, errors, lower, epsilon, label_mark, fired_at)
SELECT $1, $2, $3, $4, $5, $6, coalesce(max(received), 0), $7 FROM label
ON CONFLICT (weights, side) WHERE cleared_at IS NULL DO NOTHING
"""
OPEN = "SELECT side FROM alarm WHERE weights = $1 AND cleared_at IS NULL ORDER BY side"
CLEAR = "UPDATE alarm SET cleared_at = $3 WHERE weights = $1 AND side = $2 AND cleared_at IS NULL"
LAST_ALARM = "SELECT coalesce(max(label_mark), 0) FROM alarm"
MARKS = "SELECT side, max(label_mark) AS mark FROM alarm WHERE weights = $1 GROUP BY side"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The latest attempt to certify a claim, whether it spent anything or not."""

    items: int
    started_at: datetime


def claim_of(policy: Policy) -> str:
    """The subject of attempts: they share one chance of error as long as labels and risk stay the same."""
    about = {"labels": sorted(policy.labels), "risk": policy.risk.model_dump()}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


async def latest(connection: Queryable, claim: str, weights: str) -> Attempt | None:
    """The latest attempt at a claim for these weights."""
    row = await connection.fetchrow(LAST, claim, weights)
    return Attempt(**dict(row)) if row else None


async def items(connection: Queryable, label_mark: int = 2**62) -> int:
    """How many items there are to certify on, among the labels up to `label_mark`."""
    count: int = await connection.fetchval(ITEMS, await valid_after(connection), label_mark)
    return count


async def a_week(connection: Queryable, now: datetime) -> int:
    """How many items to certify on were judged in the last seven days."""
    count: int = await connection.fetchval(A_WEEK, now)
    return count


async def begin(connection: Queryable, claim: str, run_id: UUID, label_mark: int, now: datetime) -> int:
    """Record an attempt before it looks at any judgement; returns its number. A run that starts again has a new one.

    Call it only when no run is at work: it frees attempts that were cut off before they looked at a judgement.
    """
    await connection.execute(RELEASE)
    number: int = await connection.fetchval(BEGIN, claim, run_id, await items(connection, label_mark), now)
    return number


async def look(connection: Queryable, run_id: UUID) -> None:
    """Record that the run's attempt is about to look at judgements: from here on it is spent, however it ends."""
    await connection.execute(LOOK, run_id)


async def end(
    connection: Queryable,
    run_id: UUID,
    *,
    spent: bool | None,
    bundle_version: str | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Record how a run's attempt ended; one that looked at no judgement frees its number.

    `spent` is None if the run died: its attempt is spent if it had begun to look.
    """
    await connection.execute(END, run_id, spent, bundle_version, list(reasons))


async def fire(
    connection: Queryable,
    weights: str,
    side: Side,
    audits: int,
    errors: int,
    lower: float,
    epsilon: float,
    now: datetime,
) -> bool:
    """Switch a side off; False if it was off already."""
    done: str = await connection.execute(FIRE, weights, str(side), audits, errors, lower, epsilon, now)
    return done == "INSERT 0 1"


async def switched_off(connection: Queryable, weights: str) -> list[Side]:
    """The sides that audits have switched off for these weights."""
    return [Side.named(row["side"]) for row in await connection.fetch(OPEN, weights)]


async def clear(connection: Queryable, weights: str, side: Side, now: datetime) -> None:
    """The side is certified again, on labels that came after the alarm."""
    await connection.execute(CLEAR, weights, str(side), now)


async def marks(connection: Queryable, weights: str) -> dict[Side, int]:
    """By side: labels up to this number belong to an alarm that fired, and no longer count."""
    return {Side.named(row["side"]): row["mark"] for row in await connection.fetch(MARKS, weights)}


async def valid_after(connection: Queryable) -> int:
    """Labels up to this number certify nothing: an alarm has shown since then that the traffic has changed."""
    mark: int = await connection.fetchval(LAST_ALARM)
    return mark
