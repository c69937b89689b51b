"""Webhooks and their deliveries in Postgres."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection, Queryable
from secondlook.reviewer_api.feed import repository as feed
from secondlook.reviewer_api.feed.repository import Which
from secondlook.reviewer_api.reports.repository import answered

INSERT = """
INSERT INTO webhook (webhook_id, url, description, owner, sources, labels, outcome, decided_by, secret, position,
                     created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
COUNT = "SELECT count(*) FROM webhook"
SHOWN = """
SELECT w.webhook_id, w.url, w.description, w.owner, w.sources, w.labels, w.outcome, w.decided_by, w.enabled,
       w.disabled_why, w.created_at, w.resting_until, w.old_until,
       (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = w.webhook_id AND d.state = 'waiting') AS waiting,
       (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = w.webhook_id AND d.state = 'failed') AS failed,
       (SELECT position FROM feed_head) - w.position AS behind
FROM webhook w WHERE ($1::uuid IS NULL OR w.webhook_id = $1) AND ($2::text IS NULL OR w.owner = $2)
ORDER BY w.created_at, w.webhook_id
"""
CHANGE = """
UPDATE webhook SET url = coalesce($2, url), description = coalesce($3, description),
    enabled = coalesce($4, enabled), disabled_why = CASE WHEN $4 THEN NULL ELSE disabled_why END,
    failures = 0, resting_until = NULL, changed_at = $5
WHERE webhook_id = $1
"""
REMOVE = "DELETE FROM webhook WHERE webhook_id = $1"
ROTATE = "UPDATE webhook SET old_secret = secret, old_until = $3, secret = $2 WHERE webhook_id = $1"
SECRETS = "SELECT url, secret, old_secret, old_until FROM webhook WHERE webhook_id = $1"
DELIVERIES = """
SELECT d.position, d.decision_id, g.source, g.content_id, d.state, d.attempts, d.due_at, d.give_up_at, d.tried_at,
       d.status, d.problem
FROM webhook_delivery d JOIN decision_log g USING (decision_id)
WHERE d.webhook_id = $1 AND ($2::text IS NULL OR d.state = $2) AND ($3::bigint IS NULL OR d.position < $3)
ORDER BY d.position DESC LIMIT $4
"""
REPLAY = """
UPDATE webhook_delivery SET state = 'waiting', attempts = 0, due_at = $2, give_up_at = $3
WHERE webhook_id = $1 AND state <> 'waiting' AND (($4 AND state = 'failed') OR position >= $5)
"""
WITHOUT_KEY = """
UPDATE webhook w SET enabled = false, disabled_why = 'the API key that made it was revoked'
WHERE w.enabled AND EXISTS (SELECT FROM api_key k WHERE k.subject = w.owner AND k.revoked_at IS NOT NULL)
"""
HOLD = """
UPDATE webhook SET held_by = $1, held_until = clock_timestamp() + $2
WHERE enabled AND (held_by IS NULL OR held_by = $1 OR held_until < clock_timestamp())
RETURNING webhook_id, url, sources, labels, outcome, decided_by, secret, old_secret, old_until, failures, resting_until,
          changed_at
"""
LET_GO = "UPDATE webhook SET held_by = NULL, held_until = NULL WHERE held_by = $1"
HELD = "SELECT position FROM webhook WHERE webhook_id = $1 AND held_by = $2 FOR UPDATE"
TAKEN = "UPDATE webhook SET position = $2 WHERE webhook_id = $1"
TAKE = """
INSERT INTO webhook_delivery (webhook_id, position, decision_id, due_at, give_up_at)
SELECT $1, n.position, n.decision_id, $4, $5 FROM unnest($2::bigint[], $3::uuid[]) AS n(position, decision_id)
"""
WAITING = """
SELECT w.position AS number, w.attempts, w.due_at, w.give_up_at, g.*
FROM webhook_delivery w JOIN decision_log g USING (decision_id)
WHERE w.webhook_id = $1 AND w.state = 'waiting' AND w.position <> ALL ($2::bigint[]) ORDER BY w.position LIMIT $3
"""
TRIED = """
UPDATE webhook_delivery d SET state = n.state, attempts = n.attempts, due_at = n.due_at, tried_at = n.tried_at,
    status = n.status, problem = n.problem
FROM unnest($2::bigint[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::text[])
    AS n(position, state, attempts, due_at, tried_at, status, problem)
WHERE d.webhook_id = $1 AND d.position = n.position
"""
BREAKER = """
UPDATE webhook SET failures = $2, resting_until = $3, enabled = enabled AND $4::text IS NULL,
    disabled_why = coalesce($4, disabled_why)
WHERE webhook_id = $1
"""
TIDY = """
DELETE FROM webhook_delivery WHERE (state = 'delivered' AND tried_at < $1) OR (state = 'failed' AND tried_at < $2)
"""


async def shown(connection: Queryable, webhook_id: UUID | None, owner: str | None) -> list[dict[str, Any]]:
    """Webhooks as people see them, the oldest first: one, or those of an owner, or all."""
    return [dict(row) for row in await connection.fetch(SHOWN, webhook_id, owner)]


async def deliveries(
    connection: Queryable, webhook_id: UUID, state: str | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Deliveries, the newest first."""
    return [dict(row) for row in await connection.fetch(DELIVERIES, webhook_id, state, before, limit)]


async def hold(connection: Queryable, holder: UUID, seconds: float) -> list[dict[str, Any]]:
    """Hold the webhooks that nobody else holds, for so long; those whose key was revoked are disabled first."""
    await connection.execute(WITHOUT_KEY)
    return [dict(row) for row in await connection.fetch(HOLD, holder, timedelta(seconds=seconds))]


async def take(
    connection: Connection, webhook_id: UUID, holder: UUID, which: Which, limit: int, now: datetime, until: datetime
) -> tuple[list[dict[str, Any]], bool]:
    """Take in the next decisions of the feed as deliveries, at most `limit`; returns them with their `position`, and
    whether there may be more. Nothing where somebody else holds the webhook by now."""
    async with connection.transaction():
        position = await connection.fetchval(HELD, webhook_id, holder)
        if position is None:
            return [], False
        head = (await feed.head(connection)).position
        found, seen = await feed.page(connection, position, head, limit, which)
        if seen == position:
            return [], False
        numbers, decisions = [row["position"] for row in found], [row["decision_id"] for row in found]
        await connection.execute(TAKE, webhook_id, numbers, decisions, now, until)
        await connection.execute(TAKEN, webhook_id, seen)
        return found, seen < head


async def waiting(connection: Connection, webhook_id: UUID, but: Sequence[int], limit: int) -> list[dict[str, Any]]:
    """Deliveries that wait, by number, without those that are known."""
    rows = await connection.fetch(WAITING, webhook_id, list(but), limit)
    told = await answered(connection, [row["decision_id"] for row in rows])
    return [{**row, "reports": told.get(row["decision_id"], [])} for row in rows]


async def tried(connection: Queryable, webhook_id: UUID, rows: Sequence[tuple[Any, ...]]) -> None:
    """What came of attempts: (position, state, attempts, due at, tried at, status, problem)."""
    await connection.execute(TRIED, webhook_id, *map(list, zip(*rows, strict=True)))
