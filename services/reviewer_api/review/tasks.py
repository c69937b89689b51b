"""The states of a review task and the transitions between them. Pure: rows go in, rows come out.

    pending ──claim, assign──▶ leased ──decide──▶ decided ──grace over──▶ published
      ▲  ▲                      │ │ │                └──undo──▶ pending
      │  └─lease over───────────┘ │ └─first of two──▶ pending, after its grace, for another reviewer
      │                           ├─ release, skip, take back ──▶ pending, for others first
      └───────────────────────────┴─ escalate, two disagree ──▶ pending in the escalation queue
    pending in a queue whose reviewers are all excluded ──▶ pending in the escalation queue (escalations.py)
    a new revision of what was escalated and not settled: begins in the escalation queue (escalations.py)
    superseded, withdrawn: from any state before published

Skipping or judging an item excludes a reviewer from it. From an escalated item that only holds while some lead is not
excluded: once all are, each may take it again. For how long "others first" is, and what "first" means to a claim,
`repository.claim` says.

The caller holds the lock on the task's row, so that the checks made here still hold when the task is saved.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from secondlook.common.contract.fields import Outcome
from secondlook.common.errors import Conflict, FieldProblem, Forbidden, InvalidInput
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.leases.hand import LeaseEnd


class State(StrEnum):
    PENDING = "pending"  # → leased; nobody holds it
    LEASED = "leased"  # → pending, decided; held until `available_at`, and longer while nobody else claims it
    DECIDED = "decided"  # → published, pending; can be undone until `available_at`
    PUBLISHED = "published"  # final
    SUPERSEDED = "superseded"  # final: a newer revision took its place
    WITHDRAWN = "withdrawn"  # final: the content is gone


class VerdictResult(StrEnum):
    """What a verdict made of its task."""

    DECIDED = "decided"  # it stands: published when the undo grace is over
    SECOND_OPINION = "second_opinion"  # these labels need two: another reviewer judges, too
    ESCALATED = "escalated"  # two reviewers disagree: a lead has the last word


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A row of `task`, locked. `held_since`: since when its holder has had it, over several leases; None: from now."""

    task_id: UUID
    decision_id: UUID
    state: State
    routed_queue: str
    queue: str
    escalated: bool
    available_at: datetime
    lease_token: UUID | None
    leased_by: str | None
    excluded: tuple[str, ...]
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reviewer's answer; labels are a set."""

    outcome: Outcome
    labels: frozenset[str]
    note: str | None = None

    def agrees(self, other: "Verdict") -> bool:
        return (self.outcome, self.labels) == (other.outcome, other.labels)


def verdict(outcome: Outcome, labels: Sequence[str], note: str | None) -> Verdict:
    """A reviewer's answer as it was given; raises InvalidInput where outcome and labels contradict each other."""
    if (outcome == "reject") != bool(labels):
        problem = "to reject takes at least one label" if outcome == "reject" else "to approve takes no labels"
        raise InvalidInput([FieldProblem("labels", problem)])
    return Verdict(outcome, frozenset(labels), note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict that `reviewer` gave under the lease `lease_token`, and did not undo."""

    lease_token: UUID
    reviewer: str
    verdict: Verdict
    result: VerdictResult
    undo_until: datetime


def already_given(
    task: Task, given: Sequence[Judgement], token: UUID, caller: Caller, verdict: Verdict
) -> Judgement | None:
    """The judgement that an earlier, equal call made.

    Raises:
        Conflict: the task is closed, or the same lease gave another verdict.
    """
    _ensure_open(task)
    for judgement in given:
        if judgement.lease_token == token and judgement.reviewer == caller.subject:
            if judgement.verdict.agrees(verdict):
                return judgement
            raise Conflict("already_decided", "you have given another verdict on this item; undo that one first")
    return None


LOST = {
    LeaseEnd.RELEASED: "you released this item",
    LeaseEnd.SKIPPED: "you skipped this item",
    LeaseEnd.ESCALATED: "you handed this item to the leads",
    LeaseEnd.EXPIRED: "your lease ran out and the item was given out again",
    LeaseEnd.TAKEN_BACK: "a lead took this item back from you",
}


def ensure_held(task: Task, token: UUID, caller: Caller, ended: LeaseEnd | None = None) -> None:
    """Raises Conflict, with the reason as its code, unless the caller holds the task with this token.

    `ended`: how the caller's lease of this token ended, if it ended without a verdict.
    """
    _ensure_open(task)
    if task.state in (State.DECIDED, State.PUBLISHED):
        raise Conflict("already_decided", "this item has been decided")
    if ended is not None:
        raise Conflict("lease_lost", LOST[ended])
    if task.state is State.PENDING:
        raise Conflict("lease_lost", "you do not hold this item any more; it is back in the queue")
    if task.lease_token != token or task.leased_by != caller.subject:
        raise Conflict("lease_lost", "you do not hold this item; somebody else does")


def _ensure_open(task: Task) -> None:
    if task.state is State.SUPERSEDED:
        raise Conflict("superseded", "a newer revision of this content has taken the item's place")
    if task.state is State.WITHDRAWN:
        raise Conflict("withdrawn", "this content was withdrawn; it needs no decision any more")


def freed(task: Task, at: datetime) -> Task:
    """Back in its queue, for anyone from `at` on."""
    return replace(task, state=State.PENDING, lease_token=None, leased_by=None, available_at=at, held_since=None)


def renewed(task: Task, now: datetime, lease: timedelta, max_hold: timedelta) -> Task:
    """Held for another lease, and in all for `max_hold` at the most, however often its holder claimed it.

    Raises:
        Conflict: `held_too_long`. The lease that there is goes on until it runs out.
    """
    latest = (task.held_since or now) + max_hold
    if now >= latest:
        raise Conflict(
            "held_too_long",
            f"you have had this item for {max_hold.total_seconds() / 60:.0f} minutes, the longest that the policy "
            f"allows; others get it from {max(now, task.available_at):%H:%M:%S} UTC on, and until one of them takes it "
            "you can still judge it",
        )
    return replace(task, available_at=max(task.available_at, min(now + lease, latest)))


def is_excluded(task: Task, reviewer: str, leads: Set[str]) -> bool:
    """Whether a reviewer skipped or judged the task and so may not have it. `leads`: all who take escalated items."""
    return reviewer in task.excluded and not (task.escalated and leads <= set(task.excluded))


def ensure_takeable(task: Task, now: datetime) -> None:
    """Raises Conflict unless a lead may end the task's lease, or give the task to somebody: it is open and no verdict
    on it can still be undone."""
    _ensure_open(task)
    if task.state in (State.DECIDED, State.PUBLISHED):
        raise Conflict("already_decided", "this item has been decided")
    if task.state is State.PENDING and task.available_at > now:
        raise Conflict(
            "undo_open", f"the first verdict on this item can be undone until {task.available_at:%H:%M:%S} UTC"
        )


def taken_back(task: Task, now: datetime) -> Task:
    """Back in its queue; raises Conflict if nobody holds it."""
    ensure_takeable(task, now)
    if task.state is not State.LEASED:
        raise Conflict("not_leased", "nobody holds this item")
    return freed(task, now)


def assigned(task: Task, reviewer: str, token: UUID, now: datetime, until: datetime) -> Task:
    """Leased to a reviewer by a lead, whoever holds it now."""
    kept = tuple(name for name in task.excluded if name != reviewer)
    return replace(
        task, state=State.LEASED, lease_token=token, leased_by=reviewer, available_at=until, excluded=kept,
        held_since=now,
    )  # fmt: skip


def skipped(task: Task, reviewer: str, at: datetime) -> Task:
    """Back in its queue, never for this reviewer again."""
    return replace(freed(task, at), excluded=(*task.excluded, reviewer))


def escalated(task: Task, queue: str, at: datetime) -> Task:
    """In the lead's queue."""
    return replace(freed(task, at), queue=queue, escalated=True)


def result_of(task: Task, given: Sequence[Judgement], verdict: Verdict, quorum: int) -> VerdictResult:
    """What a verdict leads to, after those `given` before it. A lead's verdict on an escalated item stands."""
    if task.escalated:
        return VerdictResult.DECIDED
    if given:
        return VerdictResult.DECIDED if given[-1].verdict.agrees(verdict) else VerdictResult.ESCALATED
    return VerdictResult.SECOND_OPINION if quorum == 2 else VerdictResult.DECIDED


def judged(task: Task, judgement: Judgement, escalation_queue: str) -> Task:
    """The task after a judgement; nothing follows from it before its undo grace is over."""
    if judgement.result is VerdictResult.DECIDED:
        return replace(task, state=State.DECIDED, available_at=judgement.undo_until)
    again = skipped(task, judgement.reviewer, judgement.undo_until)
    if judgement.result is VerdictResult.SECOND_OPINION:
        return again
    return escalated(again, escalation_queue, again.available_at)


def undoable(task: Task, given: Sequence[Judgement], caller: Caller, now: datetime) -> Judgement:
    """The judgement that the caller may take back: their own, or, with `undo:any`, the latest.

    Raises:
        Conflict: it is too late, or there is nothing to undo.
        Forbidden: it is another reviewer's.
    """
    _ensure_open(task)
    if not given:
        raise Conflict("not_decided", "there is nothing to undo: the item is not decided, or it was undone before")
    own = [judgement for judgement in given if caller.may(Permission.UNDO_ANY) or judgement.reviewer == caller.subject]
    if not own:
        raise Forbidden("only the reviewer who decided, or a lead, may undo this")
    latest = own[-1]
    final = latest.result is VerdictResult.DECIDED
    if task.state is State.PUBLISHED or (final and now >= latest.undo_until):
        raise Conflict("already_published", "the undo time is over and the decision stands")
    waiting = State.DECIDED if final else State.PENDING
    if latest is not given[-1] or task.state is not waiting or now >= latest.undo_until:
        raise Conflict("second_opinion", "the undo time is over and another reviewer will judge the item")
    return latest


def undone(task: Task, judgement: Judgement, now: datetime) -> Task:
    """As if the judgement had not been given; its reviewer may have the task again."""
    before = replace(freed(task, now), excluded=tuple(name for name in task.excluded if name != judgement.reviewer))
    if judgement.result is VerdictResult.ESCALATED:
        before = replace(before, queue=task.routed_queue, escalated=False)
    return before
