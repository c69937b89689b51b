"""What certificates may spend, the looks at the evidence, and the alarms that switched sides off."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.bundle.sides import Side
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Database, Queryable
from secondlook.trainer.evidence.findings import Findings

LAST = """
SELECT c.items, c.started_at FROM certification c JOIN run r USING (run_id) JOIN bundle b ON b.bundle_version = $2
WHERE c.claim = $1 AND (c.bundle_version = $2 OR (r.reason = 'certify' AND c.started_at >= b.created_at))
ORDER BY c.started_at DESC, c.certification_id DESC LIMIT 1
"""
JUDGEMENTS = "SELECT count(*) FROM label WHERE adjudicated AND labels <> '{}' AND stratum <> 'imported'"
A_WEEK = f"{JUDGEMENTS} AND labelled_at > $1::timestamptz - interval '7 days'"
BEGIN = """
INSERT INTO certification (claim, attempt, run_id, items, started_at, spent, looked)
VALUES ($1, 1, $2, $3, $4, false, true)
"""
END = """
UPDATE certification SET bundle_version = $2, reasons = $3, found = $4
WHERE certification_id = (SELECT max(certification_id) FROM certification WHERE run_id = $1)
"""
FOUND = """
SELECT c.found FROM certification c JOIN run r USING (run_id)
WHERE c.claim = $1 AND c.found IS NOT NULL AND (r.reason = 'certify' OR c.bundle_version = $2)
  AND c.started_at >= coalesce((SELECT min(started_at) FROM run WHERE bundle_version = $2), '-infinity')
ORDER BY c.certification_id DESC LIMIT 1
"""
GRANTED = "SELECT side, mark, number FROM spending WHERE weights = $1 AND claim = $2"
# Older attempts spent δ/2, δ/4, … δ/2^j of a claim: the numbers from 2^j on share what is left.
NEXT = """
SELECT greatest((SELECT coalesce(max(number), 0) + 1 FROM spending),
                (SELECT pow(2, least(coalesce(max(attempt), 0), 30))::integer FROM certification
                 WHERE claim = $1 AND spent))
"""
GRANT = """
INSERT INTO spending (number, weights, claim, side, mark, granted_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
GRIDS = "SELECT side, thresholds FROM grid WHERE weights = $1 AND claim = $2"
KEEP_GRID = """
INSERT INTO grid (weights, claim, side, thresholds) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
FIRE = """
INSERT INTO alarm (weights, side, audits, errors, lower, epsilon, label_mark, asked_mark, fired_at)
SELECT $1, $2, $3, $4, $5, $6, (SELECT coalesce(max(received), 0) FROM label),
       (SELECT coalesce(max(number), 0) FROM asked), $7
ON CONFLICT (weights, side) WHERE cleared_at IS NULL DO NOTHING
"""
OPEN = "SELECT side FROM alarm WHERE weights = $1 AND cleared_at IS NULL ORDER BY side"
CLEAR = "UPDATE alarm SET cleared_at = $3 WHERE weights = $1 AND side = $2 AND cleared_at IS NULL"
# Of a side, whatever weights decided: what an alarm refuted says nothing of what people write now.
MARKS = "SELECT side, max(asked_mark) AS mark FROM alarm GROUP BY side"
ALL_SIDES = ""  # the side of a share that every side without an alarm has


@dataclass(frozen=True, slots=True)
class Look:
    """The latest look at the evidence: how many judgements there were."""

    items: int
    started_at: datetime


def claim_of(policy: Policy) -> str:
    """What a certificate says: another set of labels, or another risk, is another claim."""
    about = {"labels": sorted(policy.labels), "risk": policy.risk.model_dump()}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


async def latest(connection: Queryable, claim: str, weights: str) -> Look | None:
    """The latest look at the evidence for a claim about these weights."""
    row = await connection.fetchrow(LAST, claim, weights)
    return Look(**dict(row)) if row else None


async def judgements(connection: Queryable) -> int:
    """How many judgements of the queue settled an item."""
    count: int = await connection.fetchval(JUDGEMENTS)
    return count


async def a_week(connection: Queryable, now: datetime) -> int:
    """How many of them came in the last seven days."""
    count: int = await connection.fetchval(A_WEEK, now)
    return count


async def begin(connection: Queryable, claim: str, run_id: UUID, now: datetime) -> None:
    """Record that a run looks at the evidence. To look costs nothing."""
    await connection.execute(BEGIN, claim, run_id, await judgements(connection), now)


async def end(
    connection: Queryable, run_id: UUID, *, bundle_version: str | None = None, findings: Findings | None = None
) -> None:
    """Record what a run's look found."""
    found = findings or Findings()
    await connection.execute(END, run_id, bundle_version, list(found.off), found.model_dump(mode="json"))


async def findings(connection: Queryable, claim: str, weights: str) -> Findings | None:
    """What the latest look at the evidence of these weights found."""
    document = await connection.fetchval(FOUND, claim, weights)
    return None if document is None else Findings.model_validate(document)


async def grant(
    database: Database, claim: str, weights: str, sides: Iterable[Side], marks: Mapping[Side, int], now: datetime
) -> dict[Side, int]:
    """By side, the number of the share that it may spend on this claim about these weights.

    Every claim about every weights has a number of its own, and so has a side each time that an alarm has refuted it,
    so that all of them together spend the policy's chance of error. Asking again gives the same numbers.
    """
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE spending IN SHARE ROW EXCLUSIVE MODE")
        rows = await connection.fetch(GRANTED, weights, claim)
        granted = {(row["side"], row["mark"]): row["number"] for row in rows}
        found = {}
        for side in sides:
            key = _share(side, marks)
            if key not in granted:
                granted[key] = await connection.fetchval(NEXT, claim)
                await connection.execute(GRANT, granted[key], weights, claim, *key, now)
            found[side] = granted[key]
        return found


async def numbers(
    connection: Queryable, claim: str, weights: str, sides: Iterable[Side], marks: Mapping[Side, int]
) -> dict[Side, int]:
    """By side, the number that `grant` would give now; nothing is spent."""
    rows = await connection.fetch(GRANTED, weights, claim)
    granted = {(row["side"], row["mark"]): row["number"] for row in rows}
    following: int = await connection.fetchval(NEXT, claim)
    return {side: granted.get(_share(side, marks), following) for side in sides}


def _share(side: Side, marks: Mapping[Side, int]) -> tuple[str, int]:
    mark = marks.get(side, 0)
    return (str(side), mark) if mark else (ALL_SIDES, 0)


async def grids(connection: Queryable, claim: str, weights: str) -> dict[Side, tuple[float, ...]]:
    """The thresholds to try, as reaches, by side, of those sides for which they are fixed."""
    rows = await connection.fetch(GRIDS, weights, claim)
    return {Side.named(row["side"]): tuple(row["thresholds"]) for row in rows}


async def keep_grids(
    connection: Queryable, claim: str, weights: str, found: Mapping[Side, Sequence[float]]
) -> dict[Side, tuple[float, ...]]:
    """Fix the thresholds to try, of sides that have none yet; returns all that are fixed."""
    rows = [(weights, claim, str(side), list(thresholds)) for side, thresholds in found.items() if thresholds]
    await connection.executemany(KEEP_GRID, rows)
    return await grids(connection, claim, weights)


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
    """The side is certified again, on what was asked after the alarm."""
    await connection.execute(CLEAR, weights, str(side), now)


async def marks(connection: Queryable) -> dict[Side, int]:
    """By side: what was asked up to this number belongs to an alarm that fired, and no longer counts."""
    return {Side.named(row["side"]): row["mark"] for row in await connection.fetch(MARKS)}
