"""Keeps the tables of reports small, and gives what waits its turn. Several routers may do it at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from secondlook.common.contract.policy import Policy
from secondlook.common.contract.reports import ContentReported
from secondlook.common.postgres import fetch_one
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.reports.repository import trials

REPORTS_KEPT = timedelta(days=90)
RECORDS_KEPT = timedelta(days=365)  # of reporters of whom nothing is heard
MOST_UNKNOWN = 100_000  # reports of content that has not come

OLD_APPROVED = "DELETE FROM approved_content WHERE approved_at < $1"
MANY_APPROVED = """
DELETE FROM approved_content a USING (
    SELECT source, content_id FROM approved_content ORDER BY approved_at DESC OFFSET $1 FOR UPDATE SKIP LOCKED
) AS o WHERE (a.source, a.content_id) = (o.source, o.content_id)
"""
OLD_REPORTS = "DELETE FROM report WHERE received_at < $1"
UNKNOWN_REPORTS = """
DELETE FROM report r USING (
    SELECT u.source, u.report_id FROM content c JOIN report u USING (source, content_id)
    WHERE c.latest_revision = 0 ORDER BY u.received_at DESC OFFSET $1 FOR UPDATE OF u SKIP LOCKED
) AS o WHERE (r.source, r.report_id) = (o.source, o.report_id)
"""
OLD_RECORDS = "DELETE FROM reporter WHERE last_at < $1"
OLD_REOPENINGS = "DELETE FROM reopening WHERE since < $1"
# Content of which nothing is known, and no report any more. First they are locked, so that no report comes meanwhile.
EMPTY = """
SELECT c.source, c.content_id FROM content c
WHERE c.latest_revision = 0 AND c.withdrawn_at IS NULL AND c.withdrawal_accepted_at IS NULL
  AND NOT EXISTS (SELECT FROM report r WHERE (r.source, r.content_id) = (c.source, c.content_id))
ORDER BY 1, 2 LIMIT 1000 FOR UPDATE SKIP LOCKED
"""
DROP_EMPTY = """
DELETE FROM content c USING unnest($1::text[], $2::text[]) AS k(source, content_id)
WHERE (c.source, c.content_id) = (k.source, k.content_id)
  AND NOT EXISTS (SELECT FROM report r WHERE (r.source, r.content_id) = (c.source, c.content_id))
"""
# One report of each item whose turn it is. It goes to the end of the line, in case it still finds no room.
NEXT = """
WITH turn AS (
    SELECT o.source, o.content_id, o.revision
    FROM reopening o JOIN approved_content a USING (source, content_id, revision)
    JOIN content c USING (source, content_id)
    WHERE o.state = 'waiting' AND greatest(c.judged, c.reopened) < o.revision
    ORDER BY o.since LIMIT $1 FOR UPDATE OF o SKIP LOCKED
), moved AS (
    UPDATE reopening o SET since = $2 FROM turn t
    WHERE (o.source, o.content_id, o.revision) = (t.source, t.content_id, t.revision)
)
SELECT r.source, r.content_id, r.report_id, r.reporter, r.reason, r.note, r.reported_at
FROM turn t CROSS JOIN LATERAL (
    SELECT * FROM report k WHERE (k.source, k.content_id) = (t.source, t.content_id) AND k.counted
    ORDER BY k.report_id LIMIT 1) AS r
"""
COUNTS = """
SELECT (SELECT count(*) FROM approved_content) AS approved,
       (SELECT count(*) FROM reopening WHERE state = 'waiting') AS waiting
"""


class Tended(NamedTuple):
    """What one round did, and found: `approved` texts are kept, `waiting` items wait for their turn."""

    old: int
    unknown: int
    dropped: int
    woken: int
    approved: int
    waiting: int


class Tending:
    """One round after another. `policy`: the one in force. `most`: texts of approvals that are kept."""

    def __init__(self, transactions: Transactions, policy: Callable[[], Policy | None], most: int) -> None:
        self._transactions, self._policy, self._most = transactions, policy, most

    async def step(self) -> Tended:
        """Remove what is old or too much, and wake what waits: its report is read again, and finds room now."""
        now, policy = self._transactions.clock.now(), self._policy()
        rule = policy.reports if policy is not None else None
        pool = self._transactions.database.pool
        if policy is not None:  # a policy that hears no reports needs no texts
            await pool.execute(OLD_APPROVED, now - rule.kept if rule is not None else now)
        dropped = _rows(await pool.execute(MANY_APPROVED, self._most))
        old = _rows(await pool.execute(OLD_REPORTS, now - REPORTS_KEPT))
        unknown = _rows(await pool.execute(UNKNOWN_REPORTS, MOST_UNKNOWN))
        await pool.execute(OLD_RECORDS, now - RECORDS_KEPT)
        await pool.execute(OLD_REOPENINGS, now - REPORTS_KEPT)
        await self._drop_empty()
        woken = await self._wake(rule.unproven - await trials(pool, now - rule.window)) if rule is not None else 0
        counts = await fetch_one(pool, COUNTS)
        return Tended(old, unknown, dropped, woken, counts["approved"], counts["waiting"])

    async def _drop_empty(self) -> None:
        async with self._transactions.begin() as work:
            empty = await work.connection.fetch(EMPTY)
            columns = [row["source"] for row in empty], [row["content_id"] for row in empty]
            await work.connection.execute(DROP_EMPTY, *columns)

    async def _wake(self, room: int) -> int:
        async with self._transactions.begin() as work:
            waiting = await work.connection.fetch(NEXT, max(room, 0), work.clock.now())
            for row in waiting:
                work.publish(ContentReported(**dict(row)))
        return len(waiting)


def _rows(status: str) -> int:
    return int(status.rpartition(" ")[2])
