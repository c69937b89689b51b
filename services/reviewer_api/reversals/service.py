"""Reverse a published decision: what a person says now supersedes it, and teaches the model."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4, uuid5

from pydantic_core import from_json

from secondlook.common.contract.events import ContentSubmitted, Why, decision_id
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.postgres import Row
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.reversals import repository
from secondlook.reviewer_api.reversals.repository import PublishedDecision
from secondlook.reviewer_api.review.repository import keep_judgement
from secondlook.reviewer_api.review.tasks import State, Verdict
from secondlook.reviewer_api.review.verdicts import Given, StandingVerdict, decided, ensure_labels, labelled

REVERSED = "reversal"  # the stratum of answers that a person chose to change: they teach, and measure nothing
OPEN = frozenset({State.PENDING.value, State.LEASED.value, State.DECIDED.value})


class ReversalService:
    """Every call is one transaction. The names of decisions are unique, so of two who reverse one at once, one does."""

    def __init__(self, transactions: Transactions, policies: PolicyRepository, metrics: ReviewerMetrics) -> None:
        self._transactions, self._policies, self._metrics = transactions, policies, metrics

    async def reverse(self, reversed_id: UUID, caller: Caller, verdict: Verdict) -> tuple[UUID, int]:
        """Supersede a decision: the id and the sequence of the new one. The same call again gets the same answer.

        Raises:
            NotFound: no such decision is in the log, or none that the caller may know of: without `decisions:reverse`
                their own, and none of content that they have in hands.
            InvalidInput: a label is not in the policy in force.
            Conflict: `not_newest`, `in_review`, `not_reviewed`, `same_decision`, `superseded`, `withdrawn` or
                `no_policy`.
        """
        now, review_id = self._transactions.clock.now(), uuid5(reversed_id, "reversal")
        async with self._transactions.begin() as work:
            own = None if caller.may(Permission.DECISIONS_REVERSE) else caller.subject
            before = await repository.decision(work.connection, reversed_id, own, caller.subject)
            if before is None:
                raise NotFound(f"there is no decision {reversed_id} that you may reverse, or not yet here")
            reviews = await repository.lock(work.connection, before)
            if (given := await repository.given(work.connection, review_id)) is not None:
                return _again(given, caller, verdict)
            _ensure_open_to_change(before, reviews, await repository.newest(work.connection, before))
            if (why := await repository.closed(work.connection, before)) is not None:
                raise Conflict(why, f"{before.source}/{before.content_id}, revision {before.revision}, is {why}")
            active = await self._policies.required(work.connection)
            ensure_labels(active.policy, verdict.labels)
            if verdict.agrees(Verdict(before.outcome, frozenset(before.labels))):
                raise Conflict("same_decision", "the decision in force says the same")
            sequence = max(before.sequence, *(review["sequence"] for review in reviews)) + 1
            made = decision_id(before.source, before.content_id, before.revision, sequence)
            token, like = uuid4(), next(row for row in reversed(reviews) if row["revision"] == before.revision)
            row = await repository.insert(
                work.connection, review_id, sequence, made, now, token, caller.subject, like["task_id"], before.as_prior
            )
            if row is None:
                raise Conflict("not_newest", "somebody else was faster; read the content again")
            await keep_judgement(work.connection, row["task_id"], token, caller.subject, verdict, active.version, now)
            standing = _standing(row, before, review_id, made, sequence, caller, verdict, active, now)
            policies = {active.version: active.policy}
            decision = decided(standing, policies)
            if decision is not None:
                work.publish(decision, standing.traceparent)
            for label in labelled(standing, decision, policies):
                work.publish(label, standing.traceparent)
            if before.decided_by != caller.subject:
                told = {"of": before.decided_by, "by_decision": str(made)}
                about = f"decision {reversed_id}"
                await append(work.connection, now, caller.subject, "decision.reversed", about, told)
        self._metrics.published.labels("reversed").inc()
        return made, sequence


def _again(given: Row, caller: Caller, verdict: Verdict) -> tuple[UUID, int]:
    said = Verdict(given["outcome"], frozenset(given["labels"]))
    if given["reviewer"] == caller.subject and said.agrees(verdict):
        return given["decision_id"], given["sequence"]
    raise Conflict("not_newest", "the decision was reversed already; reverse the one that took its place")


def _ensure_open_to_change(before: PublishedDecision, reviews: Sequence[Row], newest: UUID | None) -> None:
    if any(review["state"] in OPEN for review in reviews):
        raise Conflict("in_review", f"{before.source}/{before.content_id} is in review; judge it there")
    of_revision = [review for review in reviews if review["revision"] == before.revision]
    if not of_revision:
        raise Conflict("not_reviewed", "it was decided automatically and never reviewed, so its text is not here")
    said = (before.outcome, set(before.labels))
    later = [review for review in of_revision if review["sequence"] > before.sequence and review["outcome"]]
    if newest != before.decision_id or any((row["outcome"], set(row["labels"])) != said for row in later):
        raise Conflict("not_newest", "a later decision on the content is in force; reverse that one")


def _standing(
    row: Row,
    before: PublishedDecision,
    review_id: UUID,
    made: UUID,
    sequence: int,
    caller: Caller,
    verdict: Verdict,
    active: PublishedPolicy,
    now: datetime,
) -> StandingVerdict:
    given = Given(
        reviewer=caller.subject, outcome=verdict.outcome, labels=tuple(sorted(verdict.labels)), judged_at=now,
        policy_version=active.version, adjudicated=True,
    )  # fmt: skip
    return StandingVerdict(
        review_id=review_id, decision_id=made, sequence=sequence, why=Why.REVERSAL,
        content=ContentSubmitted.model_validate_json(row["content"]),
        scores=from_json(row["scores"]) if row["scores"] else None, inclusion_probability=None, stratum=REVERSED,
        prior=before.as_prior, bundle_version=row["bundle_version"], traceparent=row["traceparent"],
        grace_over_at=now, given=[given],
    )  # fmt: skip
