"""The decision that is to be superseded, and what takes its place, in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.contract.events import PriorDecision, Why
from secondlook.common.postgres import Connection, Row
from secondlook.reviewer_api.review.reasons import DECIDING

DECISION = """
SELECT decision_id, source, content_id, revision, sequence, outcome, labels, decided_by FROM decision_log
WHERE decision_id = $1 AND ($2::text IS NULL OR decided_by = $2) AND NOT has_in_hands($3, source, content_id)
"""
NEWEST = """
SELECT decision_id FROM decision_log WHERE source = $1 AND content_id = $2 ORDER BY sequence DESC LIMIT 1
"""
# Nobody closes, judges or publishes a task of this content until this transaction ends.
LOCK = """
SELECT t.task_id, t.revision, t.sequence, t.state, p.why, j.outcome, j.labels
FROM task t JOIN task_payload p USING (task_id) LEFT JOIN judgement j ON j.lease_token = t.lease_token
WHERE t.source = $1 AND t.content_id = $2 AND p.why = ANY ($3::text[])
ORDER BY t.sequence, t.task_id FOR UPDATE OF t
"""
CLOSED = """
SELECT why FROM closure WHERE source = $1 AND content_id = $2 AND up_to_revision >= $3 ORDER BY up_to_revision LIMIT 1
"""
GIVEN = """
SELECT t.decision_id, t.sequence, j.reviewer, j.outcome, j.labels
FROM task t JOIN judgement j USING (lease_token) WHERE t.review_id = $1
"""
# As published at once: nobody can claim it, and the judgement given with it is its verdict.
INSERT = """
WITH fresh AS (
    INSERT INTO task (review_id, source, content_id, revision, sequence, decision_id, routed_queue, queue, priority,
                      state, available_at, created_at, lease_token, leased_by)
    SELECT $1, source, content_id, revision, $2, $3, routed_queue, queue, 0, 'published', $4, $4, $5, $6
    FROM task WHERE task_id = $7
    ON CONFLICT DO NOTHING RETURNING task_id
)
INSERT INTO task_payload (task_id, why, content, scores, u, inclusion_probability, stratum, prior, policy_version,
                          bundle_version, traceparent)
SELECT f.task_id, $8, p.content, p.scores, p.u, p.inclusion_probability, p.stratum, $9, p.policy_version,
       p.bundle_version, p.traceparent
FROM fresh f CROSS JOIN task_payload p WHERE p.task_id = $7
RETURNING task_id, content::text, scores::text, bundle_version, traceparent
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDecision:
    """A decision in the log."""

    decision_id: UUID
    source: str
    content_id: str
    revision: int
    sequence: int
    outcome: Any
    labels: tuple[str, ...]
    decided_by: str

    @property
    def as_prior(self) -> PriorDecision:
        return PriorDecision(
            decision_id=self.decision_id, sequence=self.sequence, outcome=self.outcome, labels=self.labels
        )


async def decision(connection: Connection, decision_id: UUID, by: str | None, reader: str) -> PublishedDecision | None:
    """The decision, if it is in the log, is by `by` where that is given, and `reader` has no open task of its content
    in hands: that there is one would tell what the task is for."""
    row = await connection.fetchrow(DECISION, decision_id, by, reader)
    return PublishedDecision(**{**row, "labels": tuple(row["labels"])}) if row else None


async def newest(connection: Connection, of: PublishedDecision) -> UUID | None:
    """The newest decision on the same content."""
    found: UUID | None = await connection.fetchval(NEWEST, of.source, of.content_id)
    return found


async def lock(connection: Connection, of: PublishedDecision) -> list[Row]:
    """The reviews of the content that may decide it, by sequence; nobody else changes them meanwhile."""
    return await connection.fetch(LOCK, of.source, of.content_id, DECIDING)


async def closed(connection: Connection, of: PublishedDecision) -> str | None:
    """Why the decision's revision needs none any more: `superseded`, `withdrawn`; None if it does."""
    found: str | None = await connection.fetchval(CLOSED, of.source, of.content_id, of.revision)
    return found


async def given(connection: Connection, review_id: UUID) -> Row | None:
    """The reversal with this id, and its verdict, if there is one."""
    return await connection.fetchrow(GIVEN, review_id)


async def insert(
    connection: Connection,
    review_id: UUID,
    sequence: int,
    decision_id: UUID,
    now: datetime,
    token: UUID,
    by: str,
    like: UUID,
    prior: PriorDecision,
) -> Row | None:
    """A review that is decided as it is made, of the same content as the task `like`. None if somebody was faster."""
    return await connection.fetchrow(
        INSERT, review_id, sequence, decision_id, now, token, by, like, Why.REVERSAL.value, prior.model_dump_json()
    )
