"""Leases and counts of all reviewers, in Postgres."""

from datetime import datetime
from typing import Any

from secondlook.common.postgres import Queryable

LEASES = """
SELECT t.task_id, t.leased_by AS reviewer, t.queue, t.source, t.content_id, t.revision, h.since AS held_since,
       t.available_at AS lease_expires_at, t.created_at
FROM task t LEFT JOIN hold h ON h.task_id = t.task_id AND h.reviewer = t.leased_by
WHERE t.state = 'leased' AND t.available_at > $1 AND ($2::text IS NULL OR t.leased_by = $2)
ORDER BY t.leased_by, t.rank, t.task_id
"""
COUNTS = """
SELECT s.reviewer, nullif(s.seen_at, '-infinity') AS last_seen, l.leases, l.longest_held_since, j.judged, j.undone,
       r.released, r.skipped, r.escalated, r.expired, r.taken_back
FROM reviewer_seen s
CROSS JOIN LATERAL (
    SELECT count(*) AS leases, min(h.since) AS longest_held_since
    FROM task t LEFT JOIN hold h ON h.task_id = t.task_id AND h.reviewer = s.reviewer
    WHERE t.leased_by = s.reviewer AND t.state = 'leased' AND t.available_at > $1
) AS l
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE undone_at IS NULL) AS judged, count(undone_at) AS undone
    FROM judgement WHERE reviewer = s.reviewer AND judged_at > $2
) AS j
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE how = 'released') AS released, count(*) FILTER (WHERE how = 'skipped') AS skipped,
           count(*) FILTER (WHERE how = 'escalated') AS escalated, count(*) FILTER (WHERE how = 'expired') AS expired,
           count(*) FILTER (WHERE how = 'taken_back') AS taken_back
    FROM returned_lease WHERE reviewer = s.reviewer AND returned_at > $2
) AS r
ORDER BY s.reviewer
"""


async def leases(connection: Queryable, now: datetime, reviewer: str | None) -> list[dict[str, Any]]:
    """The leases that have not run out, of one reviewer or of all."""
    return [dict(row) for row in await connection.fetch(LEASES, now, reviewer)]


async def counts(connection: Queryable, now: datetime, since: datetime) -> list[dict[str, Any]]:
    """What each reviewer holds now and did since then."""
    return [dict(row) for row in await connection.fetch(COUNTS, now, since)]
