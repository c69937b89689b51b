"""Leases that ended, and counts over time, in Postgres."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection

HELD = "SELECT task_id, leased_by FROM task WHERE state = 'leased' AND leased_by = ANY ($1::text[])"
# What a person did with an item needs no telling: judged, released, skipped, escalated.
WHY_GONE = """
SELECT t.task_id, CASE
    WHEN t.state IN ('superseded', 'withdrawn') THEN t.state
    ELSE (SELECT r.how FROM returned_lease r WHERE r.task_id = t.task_id AND r.reviewer = k.reviewer
          AND r.how IN ('expired', 'taken_back')
          AND r.returned_at = (SELECT max(n.returned_at) FROM returned_lease n
                               WHERE n.task_id = t.task_id AND n.reviewer = k.reviewer) LIMIT 1)
    END AS why
FROM unnest($1::uuid[], $2::text[]) AS k(task_id, reviewer) JOIN task t USING (task_id)
WHERE NOT (t.state IN ('decided', 'published') AND t.leased_by = k.reviewer)
"""
# `$1` is the beginning, `$2` the width of a bucket, `$3` the end. A verdict counts when it was given, an automatic
# decision when it was made.
STATS = """
WITH bucket AS (
    SELECT generate_series($1::timestamptz, $3::timestamptz - interval '1 microsecond', $2::interval) AS at
), asked AS (
    SELECT date_bin($2, created_at, $1) AS at, count(*) AS requested
    FROM task WHERE created_at >= $1 AND created_at < $3 GROUP BY 1
), given AS (
    SELECT date_bin($2, judged_at, $1) AS at, count(*) AS judged
    FROM judgement WHERE judged_at >= $1 AND judged_at < $3 AND undone_at IS NULL GROUP BY 1
), made AS (
    SELECT date_bin($2, decided_at, $1) AS at,
           count(*) FILTER (WHERE decided_by = 'model' AND outcome = 'approve') AS approved_automatically,
           count(*) FILTER (WHERE decided_by = 'model' AND outcome = 'reject') AS rejected_automatically,
           count(*) FILTER (WHERE decided_by <> 'model' AND outcome = 'approve') AS approved_by_people,
           count(*) FILTER (WHERE decided_by <> 'model' AND outcome = 'reject') AS rejected_by_people
    FROM decision_log WHERE decided_at >= $1 AND decided_at < $3 GROUP BY 1
)
SELECT at, coalesce(requested, 0) AS requested, coalesce(judged, 0) AS judged,
       coalesce(approved_automatically, 0) AS approved_automatically,
       coalesce(rejected_automatically, 0) AS rejected_automatically,
       coalesce(approved_by_people, 0) AS approved_by_people, coalesce(rejected_by_people, 0) AS rejected_by_people
FROM bucket LEFT JOIN asked USING (at) LEFT JOIN given USING (at) LEFT JOIN made USING (at) ORDER BY at
"""


async def held(connection: Connection, reviewers: Sequence[str]) -> dict[UUID, str]:
    """Which items these people hold, and who holds them."""
    return {row["task_id"]: row["leased_by"] for row in await connection.fetch(HELD, reviewers)}


async def why_gone(connection: Connection, of: Mapping[UUID, str]) -> dict[UUID, str]:
    """Why items are no longer in the hands of who held them, but for what their holders did themselves."""
    rows = await connection.fetch(WHY_GONE, list(of), list(of.values()))
    return {row["task_id"]: row["why"] for row in rows if row["why"] is not None}


async def stats(connection: Connection, since: datetime, bucket: timedelta, until: datetime) -> list[dict[str, Any]]:
    """Counts by bucket, empty ones included, oldest first."""
    return [dict(row) for row in await connection.fetch(STATS, since, bucket, until)]
