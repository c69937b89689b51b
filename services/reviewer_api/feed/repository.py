"""The feed in Postgres. Its numbers are given out by `decisions.repository`, in the order of the commits."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from secondlook.common.postgres import Connection, Queryable, fetch_one
from secondlook.reviewer_api.reports.repository import answered

SCAN = 20_000  # numbers that one request looks through, at most

HEAD = "SELECT feed, position FROM feed_head"
PAGE = """
SELECT f.position, d.* FROM feed f JOIN decision_log d USING (decision_id)
WHERE f.position > $1 AND f.position <= $2
  AND ($4::text[] IS NULL OR d.source = ANY ($4))
  AND ($5::text[] IS NULL OR d.labels && $5)
  AND ($6::text IS NULL OR d.outcome = $6)
  AND ($7::text IS NULL OR d.decided_by = $7)
  AND ($8::text IS NULL OR NOT has_in_hands($8, d.source, d.content_id))
ORDER BY f.position LIMIT $3
"""


class FeedHead(NamedTuple):
    """Which feed it is, and its last number: everything up to it is committed."""

    feed: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """What a reader wants of the feed; None: whatever it is. Of content that `reader` has in hands nothing is shown."""

    sources: Collection[str] | None = None
    labels: Collection[str] | None = None
    outcome: str | None = None
    decided_by: str | None = None
    reader: str | None = None


async def head(connection: Queryable) -> FeedHead:
    """Where the feed ends now."""
    row = await fetch_one(connection, HEAD)
    return FeedHead(row["feed"], row["position"])


async def page(
    connection: Connection, after: int, until: int, limit: int, which: Which
) -> tuple[list[dict[str, Any]], int]:
    """At most `limit` decisions behind the number `after` up to `until`, oldest first, each with its `position` and the
    `reports` that it answers; and the number up to which they were looked for."""
    seen = min(until, after + SCAN)
    bound = [None if given is None else list(given) for given in (which.sources, which.labels)]
    rows = await connection.fetch(PAGE, after, seen, limit, *bound, which.outcome, which.decided_by, which.reader)
    told = await answered(connection, [row["decision_id"] for row in rows])
    found = [{**row, "reports": told.get(row["decision_id"], [])} for row in rows]
    return found, found[-1]["position"] if len(found) == limit else seen
