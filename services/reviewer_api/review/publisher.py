"""Publishes verdicts whose undo grace is over. Several processes may do it at once: each takes other rows."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json

from secondlook.common.contract.events import ContentSubmitted, PriorDecision, Why
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Row
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository
from secondlook.reviewer_api.review.verdicts import Given, StandingVerdict, decided, labelled

TAKE = """
WITH due AS (
    SELECT task_id FROM task WHERE state = 'decided' AND available_at <= $1
    ORDER BY available_at LIMIT $2 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE task t SET state = 'published' FROM due WHERE t.task_id = due.task_id RETURNING t.*
)
SELECT t.task_id, coalesce(t.review_id, t.task_id) AS review_id, t.decision_id, t.sequence, t.escalated, t.lease_token,
       t.available_at AS grace_over_at, p.why, p.content::text, p.scores::text, p.inclusion_probability,
       p.stratum, p.prior::text, p.bundle_version, p.traceparent
FROM taken t JOIN task_payload p USING (task_id)
ORDER BY t.available_at, t.sequence
"""
GIVEN = """
SELECT task_id, lease_token, reviewer, outcome, labels, judged_at, policy_version FROM judgement
WHERE task_id = ANY ($1::uuid[]) AND undone_at IS NULL ORDER BY number
"""


class Publisher:
    """Turns decided tasks into events."""

    def __init__(
        self, transactions: Transactions, policies: PolicyRepository, metrics: ReviewerMetrics, *, limit: int = 500
    ) -> None:
        self._transactions, self._policies, self._metrics, self._limit = transactions, policies, metrics, limit

    async def publish_due(self) -> int:
        """Publish everything that is due; returns how many tasks that was.

        A task becomes published in the transaction that holds its events, so it is published once or, after a crash,
        not yet.
        """
        total = 0
        while True:
            count = await self._publish_some()
            total += count
            if count < self._limit:
                return total

    async def _publish_some(self) -> int:
        now = self._transactions.clock.now()
        counts = {"decided": 0, "confirmed": 0}
        async with self._transactions.begin() as work:
            standing = await self._take(work, now)
            policies = await self._policies_of(work, standing)
            for task in standing:
                decision = decided(task, policies)
                if decision is not None:
                    work.publish(decision, task.traceparent)
                for label in labelled(task, decision, policies):
                    work.publish(label, task.traceparent)
                counts["decided" if decision else "confirmed"] += 1
        for result, count in counts.items():
            self._metrics.published.labels(result).inc(count)
        for task in standing:
            self._metrics.publish_lag.observe((now - task.grace_over_at).total_seconds())
        return len(standing)

    async def _take(self, work: UnitOfWork, now: datetime) -> list[StandingVerdict]:
        rows = await work.connection.fetch(TAKE, now, self._limit)
        given: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in await work.connection.fetch(GIVEN, [row["task_id"] for row in rows]) if rows else []:
            given[row["task_id"]].append(row)
        return [_standing(row, given[row["task_id"]]) for row in rows]

    async def _policies_of(self, work: UnitOfWork, standing: list[StandingVerdict]) -> dict[int, Policy]:
        versions = {given.policy_version for task in standing for given in task.given}
        return {version: (await self._policies.version(work.connection, version)).policy for version in versions}


def _standing(task: Row, judgements: list[Row]) -> StandingVerdict:
    # On an escalated task the lead's verdict counts alone; otherwise all that are left agree.
    given = [
        Given(
            reviewer=row["reviewer"],
            outcome=row["outcome"],
            labels=tuple(row["labels"]),
            judged_at=row["judged_at"],
            policy_version=row["policy_version"],
            adjudicated=not task["escalated"] or row["lease_token"] == task["lease_token"],
        )
        for row in judgements
    ]
    return StandingVerdict(
        review_id=task["review_id"],
        decision_id=task["decision_id"],
        sequence=task["sequence"],
        why=Why(task["why"]),
        content=ContentSubmitted.model_validate_json(task["content"]),
        scores=from_json(task["scores"]) if task["scores"] else None,
        inclusion_probability=task["inclusion_probability"],
        stratum=task["stratum"],
        prior=PriorDecision.model_validate_json(task["prior"]) if task["prior"] else None,
        bundle_version=task["bundle_version"],
        traceparent=task["traceparent"],
        grace_over_at=task["grace_over_at"],
        given=given,
    )
