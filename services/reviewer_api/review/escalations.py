"""What brings an item to the leads though nobody escalates it: nobody else is left for it, or it is an edit of one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from secondlook.common.postgres import Connection
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.leases.people import People, present
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.review.queues import open_to_reviewers
from secondlook.reviewer_api.review.reasons import DECIDING

NOTE = "nobody else is left: every reviewer of this queue has skipped or judged the item"

# An item waits until the verdict that excluded somebody cannot be undone any more. NULL for $2: every queue is open.
_STRANDED = """
state IN ('pending', 'leased') AND available_at <= $1 AND excluded <> '{}'
  AND excluded @> CASE WHEN NOT escalated AND (queue = ANY ($2::text[])) IS NOT FALSE
                       THEN $3::text[] ELSE $4::text[] END
"""
ESCALATE = f"""
WITH stranded AS (
    SELECT task_id FROM task WHERE {_STRANDED} AND NOT escalated AND ($5::uuid IS NULL OR task_id = $5)
    ORDER BY task_id FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE task t SET state = 'pending', queue = $6, escalated = true, lease_token = NULL, leased_by = NULL
    FROM stranded WHERE t.task_id = stranded.task_id RETURNING t.task_id
)
UPDATE task_payload p SET escalation_note = coalesce(p.escalation_note, $7)
FROM moved WHERE p.task_id = moved.task_id RETURNING p.task_id
"""  # noqa: S608
STRANDED = f"SELECT queue, count(*) AS items FROM task WHERE {_STRANDED} GROUP BY queue"  # noqa: S608
# The escalation of a revision that was superseded or withdrawn goes to the next one, unless a verdict on a revision
# between them was published: what was escalated is settled then. Sequences order verdicts over all revisions.
CARRY_OVER = """
WITH unsettled AS MATERIALIZED (  -- few, and found by their own index
    SELECT e.task_id, e.source, e.content_id, e.revision, e.sequence, e.queue
    FROM unnest($1::text[], $2::text[]) AS k(source, content_id) JOIN task e USING (source, content_id)
    WHERE e.escalated AND e.state <> 'published'
), carried AS (
    SELECT DISTINCT ON (t.task_id) t.task_id, e.queue, p.escalation_note
    FROM unsettled e JOIN task_payload p ON p.task_id = e.task_id
    JOIN task t ON t.source = e.source AND t.content_id = e.content_id AND t.revision > e.revision
    WHERE t.state = 'pending' AND NOT t.escalated AND NOT EXISTS (
        SELECT FROM task s JOIN task_payload sp ON sp.task_id = s.task_id
        WHERE s.source = t.source AND s.content_id = t.content_id AND s.state = 'published'
          AND sp.why = ANY ($3::text[]) AND s.sequence > e.sequence AND s.revision < t.revision
    )
    ORDER BY t.task_id, e.sequence DESC
), moved AS (
    UPDATE task t SET queue = carried.queue, escalated = true
    FROM carried WHERE t.task_id = carried.task_id
    RETURNING t.task_id, carried.escalation_note
)
UPDATE task_payload p SET escalation_note = moved.escalation_note FROM moved WHERE p.task_id = moved.task_id
"""


async def carry_over(connection: Connection, contents: Collection[tuple[str, str]]) -> None:
    """Escalate the pending tasks of these pieces of content that are edits of an escalated revision, with its note.

    To be called when closures have closed what they reach: until then an older revision may still be escalated. No
    exclusion is carried over: an edit is another text, and an author must not shake off a reviewer by it.
    """
    if contents:
        await connection.execute(CARRY_OVER, *map(list, zip(*sorted(contents), strict=True)), DECIDING)


async def escalate_stranded(
    connection: Connection, active: PublishedPolicy | None, people: People, now: datetime, task_id: UUID | None = None
) -> int:
    """Move every item, or this one, that all whose work it is are excluded from to the escalation queue.

    Returns how many were moved: none without a policy, which names that queue, or without a lead, who would take them.
    """
    if active is None or not people.leads:
        return 0
    given = [now, open_to_reviewers(active), people.wanted(), sorted(people.leads)]
    return len(await connection.fetch(ESCALATE, *given, task_id, active.policy.escalation_queue, NOTE))


class Escalations:
    """Looks for items that nobody is left for: reviewers come and go, and verdicts lose their undo grace."""

    def __init__(self, transactions: Transactions, policies: PolicyRepository, metrics: ReviewerMetrics) -> None:
        self._transactions, self._policies, self._metrics = transactions, policies, metrics

    async def sweep(self) -> int:
        """Escalate them; returns how many. The gauge shows what is left: also where there is no lead, or all of them
        have skipped an escalated item, which is offered to them again."""
        now = self._transactions.clock.now()
        async with self._transactions.database.pool.acquire() as connection, connection.transaction():
            active = await self._policies.active(connection)
            people = await present(connection, now)
            moved = await escalate_stranded(connection, active, people, now)
            left: Sequence[tuple[str, int]] = [
                (row["queue"], row["items"])
                for row in await connection.fetch(
                    STRANDED, now, open_to_reviewers(active), people.wanted(), sorted(people.leads)
                )
            ]
        self._metrics.left_over.inc(moved)
        self._metrics.without_candidates.clear()
        for queue, items in left:
            self._metrics.without_candidates.labels(queue).set(items)
        return moved
