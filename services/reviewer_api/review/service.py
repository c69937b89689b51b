"""What reviewers do: claim items, judge them, give them back, change their minds in time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from secondlook.common.contract.policy import Policy
from secondlook.common.errors import Conflict, FieldProblem, Forbidden, InvalidInput, NotFound
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.review import repository, tasks
from secondlook.reviewer_api.review.claims import claims
from secondlook.reviewer_api.review.schemas import Claims
from secondlook.reviewer_api.review.tasks import Judgement, Task, Verdict, VerdictResult

BEFORE_ANY_POLICY = "default"  # where the router sends items that arrive before the first policy


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReceipt:
    """The answer to a verdict. `decision_id` names it for the undo, and tells nothing: it is the id of the task."""

    decision_id: UUID
    undo_until: datetime
    result: VerdictResult


class ReviewService:
    """The review queue. Time is the clock of `transactions`; every call is one transaction.

    A claim leases rows that nobody else holds locked; every other call changes one task, whose row it locks first.
    """

    def __init__(
        self,
        transactions: Transactions,
        policies: PolicyRepository,
        metrics: ReviewerMetrics,
        *,
        lease: timedelta,
        undo_grace: timedelta,
    ) -> None:
        self._transactions, self._policies, self._metrics = transactions, policies, metrics
        self._clock, self._lease, self._undo_grace = transactions.clock, lease, undo_grace

    async def claim(self, caller: Caller, limit: int, queue: str | None = None) -> Claims:
        """Lease up to `limit` items, of one queue or of all that the caller may work on.

        The transaction that leases the items also makes what their reviewer sees: an item that cannot be shown fails
        the call, and nothing is leased.

        Raises:
            Forbidden: the queue takes the permission `escalations`.
            NotFound: there is no such queue.
        """
        async with self._transactions.database.pool.acquire() as connection, connection.transaction():
            policy = await self._policies.active(connection)
            open_queues = _open_queues(policy, caller)
            known = policy is None or queue is None or queue in policy.policy.queues
            if queue is not None and open_queues is not None and queue not in open_queues:
                if not known and not await repository.has_open(connection, queue):
                    raise NotFound(f"there is no queue {queue}")
                raise Forbidden(f"queue {queue} is for leads")
            now = self._clock.now()
            claimed = await repository.claim(
                connection, caller.subject, limit, now, now + self._lease,
                queue=queue, open_queues=open_queues, escalated=caller.may(Permission.ESCALATIONS),
            )  # fmt: skip
            if not claimed and not known and not await repository.has_open(connection, str(queue)):
                raise NotFound(f"there is no queue {queue}")
            made = claims(claimed, policy)
        self._metrics.claims.inc(len(claimed))
        self._metrics.empty_claims.inc(not claimed)
        return made

    async def decide(self, task_id: UUID, token: UUID, caller: Caller, verdict: Verdict) -> VerdictReceipt:
        """Judge a held item. The same call again gets the same answer and changes nothing.

        Raises:
            NotFound: no such task.
            Conflict: `lease_lost`, `superseded`, `withdrawn`, `already_decided` or `no_policy`.
            InvalidInput: a label is not in the policy in force.
        """
        async with self._transactions.begin() as work:
            task = await repository.lock(work.connection, task_id)
            given = await repository.judgements(work.connection, task_id)
            if before := tasks.already_given(task, given, token, caller, verdict):
                return _receipt(task, before)
            tasks.ensure_held(task, token, caller)
            active = _required(await self._policies.active(work.connection))
            _ensure_labels(active.policy, verdict)
            now = self._clock.now()
            result = tasks.result_of(task, given, verdict, _quorum(active.policy, task, verdict))
            judgement = Judgement(
                lease_token=token,
                reviewer=caller.subject,
                verdict=verdict,
                result=result,
                undo_until=now + self._undo_grace,
            )
            await repository.insert_judgement(work.connection, task, judgement, active.version, now)
            await repository.save(work.connection, tasks.judged(task, judgement, active.policy.escalation_queue))
        self._metrics.judgements.labels(verdict.outcome, result.value).inc()
        return _receipt(task, judgement)

    async def undo(self, decision_id: UUID, caller: Caller) -> Task:
        """Take a verdict back while its grace lasts: the caller's own, or, with `undo:any`, the latest.

        Raises:
            NotFound: no such verdict here.
            Forbidden: another reviewer made it.
            Conflict: `already_published`, `second_opinion`, `not_decided`, `superseded` or `withdrawn`.
        """
        async with self._transactions.begin() as work:
            task = await repository.lock_to_undo(work.connection, decision_id)
            given = await repository.judgements(work.connection, task.task_id)
            now = self._clock.now()
            judgement = tasks.undoable(task, given, caller, now)
            task = tasks.undone(task, judgement, now)
            await repository.undo_judgement(work.connection, judgement, now)
            await repository.save(work.connection, task)
        self._metrics.undos.inc()
        return task

    async def heartbeat(self, task_id: UUID, token: UUID, caller: Caller) -> datetime:
        """Keep a held item for another lease; returns until when. Raises NotFound, Conflict."""
        task = await self._change(task_id, token, caller, lambda t, now: tasks.extended(t, now + self._lease))
        return task.available_at

    async def release(self, task_id: UUID, token: UUID, caller: Caller) -> Task:
        """Give a held item back. Raises NotFound, Conflict."""
        task = await self._change(task_id, token, caller, tasks.freed)
        self._metrics.returned.labels("released").inc()
        return task

    async def skip(self, task_id: UUID, token: UUID, caller: Caller) -> Task:
        """Give a held item back and never get it again. Raises NotFound, Conflict."""
        task = await self._change(task_id, token, caller, lambda t, now: tasks.skipped(t, caller.subject, now))
        self._metrics.returned.labels("skipped").inc()
        return task

    async def escalate(self, task_id: UUID, token: UUID, caller: Caller, note: str | None) -> Task:
        """Hand a held item to the leads, with a note for them. Raises NotFound, Conflict."""
        async with self._transactions.begin() as work:
            task = await repository.lock(work.connection, task_id)
            tasks.ensure_held(task, token, caller)
            queue = _required(await self._policies.active(work.connection)).policy.escalation_queue
            task = tasks.escalated(task, queue, self._clock.now())
            await repository.keep_note(work.connection, task_id, note)
            await repository.save(work.connection, task)
        self._metrics.returned.labels("escalated").inc()
        return task

    async def _change(
        self, task_id: UUID, token: UUID, caller: Caller, change: Callable[[Task, datetime], Task]
    ) -> Task:
        async with self._transactions.begin() as work:
            task = await repository.lock(work.connection, task_id)
            tasks.ensure_held(task, token, caller)
            changed = change(task, self._clock.now())
            await repository.save(work.connection, changed)
            return changed


def _receipt(task: Task, judgement: Judgement) -> VerdictReceipt:
    return VerdictReceipt(decision_id=task.task_id, undo_until=judgement.undo_until, result=judgement.result)


def _open_queues(policy: PublishedPolicy | None, caller: Caller) -> list[str] | None:
    """The queues that the caller may claim from; None: from all.

    A queue that the policy in force does not name may have been closed to reviewers, so it is closed to them now.
    """
    if policy is None or caller.may(Permission.ESCALATIONS):
        return None
    queues = policy.policy.queues
    unplaced = [] if BEFORE_ANY_POLICY in queues else [BEFORE_ANY_POLICY]
    return [*unplaced, *(name for name, queue in queues.items() if queue.role == "reviewer")]


def _required(policy: PublishedPolicy | None) -> PublishedPolicy:
    if policy is None:
        raise Conflict("no_policy", "no policy has been published yet: a lead must publish one first")
    return policy


def _ensure_labels(policy: Policy, verdict: Verdict) -> None:
    unknown = sorted(verdict.labels - policy.labels.keys())
    if unknown:
        known = ", ".join(policy.labels)
        raise InvalidInput([FieldProblem("labels", f"{name!r} is not in the policy: {known}") for name in unknown])


def _quorum(policy: Policy, task: Task, verdict: Verdict) -> int:
    return 1 if task.queue == policy.escalation_queue else policy.quorum_for(tuple(sorted(verdict.labels)))
