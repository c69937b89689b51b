"""What reviewers do: claim items, judge them, give them back, change their minds in time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from secondlook.common.contract.policy import Policy, ReviewPolicy
from secondlook.common.errors import Forbidden, NotFound
from secondlook.common.postgres import Connection
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.leases import repository as leases
from secondlook.reviewer_api.leases import waiting
from secondlook.reviewer_api.leases.hand import LeaseEnd, ensure_judges, ensure_room
from secondlook.reviewer_api.leases.people import present
from secondlook.reviewer_api.leases.waiting import Chosen
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.review import repository, tasks
from secondlook.reviewer_api.review.claims import claims
from secondlook.reviewer_api.review.escalations import escalate_stranded
from secondlook.reviewer_api.review.queues import open_to, open_to_reviewers
from secondlook.reviewer_api.review.schemas import Claims
from secondlook.reviewer_api.review.tasks import Judgement, Task, Verdict, VerdictResult
from secondlook.reviewer_api.review.verdicts import ensure_labels

LEAVING = timedelta(seconds=30)


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

    async def claim(self, caller: Caller, limit: int, queue: str | None = None, only: Chosen | None = None) -> Claims:
        """Lease up to `limit` items, of one queue or of all that the caller may work on; with `only`, none but those.

        The transaction that leases the items also makes what their reviewer sees: an item that cannot be shown fails
        the call, and nothing is leased. Claims of one caller take turns, so that together they keep to the policy's cap
        on leases.

        Raises:
            Conflict: `too_many_leases` or `too_many_returns`.
            Forbidden: the queue takes the permission `escalations`.
            NotFound: there is no such queue.
        """
        async with self._transaction() as connection:
            policy = await self._policies.active(connection)
            queues, leads = open_to(policy, caller), caller.may(Permission.ESCALATIONS)
            known = policy is None or queue is None or queue in policy.policy.queues
            if queue is not None and queues is not None and queue not in queues:
                if not known and not await repository.has_open(connection, queue):
                    raise NotFound(f"there is no queue {queue}")
                raise Forbidden(f"queue {queue} is for leads")
            now, limits = self._clock.now(), _limits(policy)
            hand = await leases.enter(connection, caller.subject, now)
            room = ensure_room(hand, limits)
            ensure_judges(hand, limits)
            left = 0
            if leads:
                left = await escalate_stranded(connection, policy, await present(connection, now), now)
            until = now + min(self._lease, limits.max_hold)
            claimed = await repository.claim(
                connection, caller.subject, min(limit, room), now, until, queue=queue, open_queues=queues,
                escalated=leads, reviewers_queues=open_to_reviewers(policy), again_at=until + limits.others_first,
                only=only,
            )  # fmt: skip
            if not claimed and not known and not await repository.has_open(connection, str(queue)):
                raise NotFound(f"there is no queue {queue}")
            made = claims(claimed, policy)
        self._metrics.left_over.inc(left)
        self._metrics.claims.inc(len(claimed))
        self._metrics.empty_claims.inc(not claimed)
        self._metrics.returned.labels(LeaseEnd.EXPIRED.value).inc(sum(task.ran_out for task in claimed))
        return made

    async def held(self, caller: Caller) -> Claims:
        """What the caller holds, with the tokens, as the claims gave it out. Leases that ran out are not listed."""
        async with self._transaction() as connection:
            policy = await self._policies.active(connection)
            found = await repository.held(connection, caller.subject, self._clock.now())
            return claims(found, policy)

    async def leave(self, caller: Caller, tokens: Mapping[UUID, UUID]) -> None:
        """The caller's page was closed: their leases on these items, by token, end in LEAVING unless they are renewed,
        as after a reload. What the caller does not hold stays as it is."""
        async with self._transaction() as connection:
            await waiting.leave(connection, tokens, caller.subject, self._clock.now() + LEAVING)

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
            await self._ensure_held(work.connection, task, token, caller)
            active = await self._policies.required(work.connection)
            ensure_labels(active.policy, verdict.labels)
            now = self._clock.now()
            judgement = Judgement(
                lease_token=token,
                reviewer=caller.subject,
                verdict=verdict,
                result=tasks.result_of(task, given, verdict, quorum(active.policy, task, verdict)),
                undo_until=now + self._undo_grace,
            )
            await keep(work.connection, task, given, judgement, active, now)
        self._metrics.judgements.labels(verdict.outcome, judgement.result.value).inc()
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
            limits = _limits(await self._policies.active(work.connection))
            now = self._clock.now()
            task, reviewer = await undo(work.connection, task, caller, now, limits)
            if reviewer != caller.subject:
                about = f"task {task.task_id}"
                await append(work.connection, now, caller.subject, "verdict.undone", about, {"of": reviewer})
        self._metrics.undos.inc()
        return task

    async def heartbeat(self, task_id: UUID, token: UUID, caller: Caller) -> datetime:
        """Keep a held item for another lease; returns until when. Not for longer than the policy allows since the
        caller first had the item.

        Raises:
            NotFound: no such task.
            Conflict: `held_too_long`; `too_many_leases`, if the lease ran out and the caller holds others by now; or
                the item is not held any more.
        """
        async with self._transactions.begin() as work:
            now = self._clock.now()
            hand = await leases.enter(work.connection, caller.subject, now)
            task = await repository.lock(work.connection, task_id)
            await self._ensure_held(work.connection, task, token, caller)
            limits = _limits(await self._policies.active(work.connection))
            if task.available_at <= now:
                ensure_room(hand, limits)
            kept = tasks.renewed(task, now, self._lease, limits.max_hold)
            again_at = kept.available_at + limits.others_first
            await leases.hold(work.connection, task_id, caller.subject, task.held_since or now, again_at)
            await repository.save(work.connection, kept)
        return kept.available_at

    async def release(self, task_id: UUID, token: UUID, caller: Caller) -> Task:
        """Give a held item back, to others first. Raises NotFound, Conflict."""
        async with self._returned(task_id, token, caller, LeaseEnd.RELEASED) as (connection, task, now):
            task = tasks.freed(task, now)
            await repository.save(connection, task)
        return task

    async def skip(self, task_id: UUID, token: UUID, caller: Caller) -> Task:
        """Give a held item back and never get it again; if nobody else is left, leads get it. Raises NotFound,
        Conflict."""
        left = 0
        async with self._returned(task_id, token, caller, LeaseEnd.SKIPPED) as (connection, task, now):
            await repository.save(connection, tasks.skipped(task, caller.subject, now))
            policy, people = await self._policies.active(connection), await present(connection, now)
            left = await escalate_stranded(connection, policy, people, now, task_id)
            task = await repository.lock(connection, task_id)
        self._metrics.left_over.inc(left)
        return task

    async def escalate(self, task_id: UUID, token: UUID, caller: Caller, note: str | None) -> Task:
        """Hand a held item to the leads, with a note for them. Raises NotFound, Conflict."""
        async with self._returned(task_id, token, caller, LeaseEnd.ESCALATED) as (connection, task, now):
            active = await self._policies.required(connection)
            task = tasks.escalated(task, active.policy.escalation_queue, now)
            await repository.keep_note(connection, task_id, note)
            await repository.save(connection, task)
        return task

    @asynccontextmanager
    async def _returned(
        self, task_id: UUID, token: UUID, caller: Caller, how: LeaseEnd
    ) -> AsyncIterator[tuple[Connection, Task, datetime]]:
        """A transaction that ends the caller's lease: the caller changes the task and saves it."""
        async with self._transaction() as connection:
            now = self._clock.now()
            task = await repository.lock(connection, task_id)
            await self._ensure_held(connection, task, token, caller)
            limits = _limits(await self._policies.active(connection))
            await leases.end(connection, token, task_id, caller.subject, how, now)
            await leases.hold(connection, task_id, caller.subject, task.held_since or now, now + limits.others_first)
            yield connection, task, now
        self._metrics.returned.labels(how.value).inc()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._transactions.database.pool.acquire() as connection, connection.transaction():
            yield connection

    async def _ensure_held(self, connection: Connection, task: Task, token: UUID, caller: Caller) -> None:
        holds = task.lease_token == token and task.leased_by == caller.subject  # then the lease has not ended
        ended = None if holds else await leases.ended(connection, token, caller.subject)
        tasks.ensure_held(task, token, caller, ended)


async def keep(
    connection: Connection,
    task: Task,
    given: Sequence[Judgement],
    judgement: Judgement,
    active: PublishedPolicy,
    now: datetime,
    bulk_id: UUID | None = None,
) -> None:
    """Save a verdict on a locked task, after those `given` before it, and what follows from it.

    `bulk_id`: it was given together with others.
    """
    if any(earlier.reviewer == judgement.reviewer for earlier in given):
        await repository.replace_judgement(connection, task.task_id, judgement.reviewer, now)
    after = tasks.judged(task, judgement, active.policy.escalation_queue)
    await repository.judge(connection, after, judgement, active.version, now, bulk_id)


async def undo(
    connection: Connection, task: Task, caller: Caller, now: datetime, limits: ReviewPolicy
) -> tuple[Task, str]:
    """Take back the verdict on a locked task that the caller may take back; the task after it, and whose verdict it
    was. Raises Conflict, Forbidden."""
    judgement = tasks.undoable(task, await repository.judgements(connection, task.task_id), caller, now)
    task = tasks.undone(task, judgement, now)
    await repository.undo_judgement(connection, judgement, now)
    await leases.after_undo(connection, task.task_id, judgement.reviewer, now, limits)
    await repository.save(connection, task)
    return task, judgement.reviewer


def _receipt(task: Task, judgement: Judgement) -> VerdictReceipt:
    return VerdictReceipt(decision_id=task.task_id, undo_until=judgement.undo_until, result=judgement.result)


def _limits(policy: PublishedPolicy | None) -> ReviewPolicy:
    return policy.policy.review if policy else ReviewPolicy()


def quorum(policy: Policy, task: Task, verdict: Verdict) -> int:
    """How many reviewers must agree: one in the escalation queue, as many as the labels take elsewhere."""
    return 1 if task.queue == policy.escalation_queue else policy.quorum_for(tuple(sorted(verdict.labels)))
