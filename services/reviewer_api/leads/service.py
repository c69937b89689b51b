"""Take items back, assign them, and see who holds and gives back what."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from secondlook.common.contract.policy import ReviewPolicy
from secondlook.common.errors import Conflict, FieldProblem, InvalidInput
from secondlook.common.postgres import Connection
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.leads import repository
from secondlook.reviewer_api.leads.schemas import HeldItem, ReviewerCounts
from secondlook.reviewer_api.leases import repository as leases
from secondlook.reviewer_api.leases.hand import LeaseEnd, ensure_room
from secondlook.reviewer_api.leases.people import active_callers, present
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository
from secondlook.reviewer_api.review import repository as tasks_repository
from secondlook.reviewer_api.review import tasks
from secondlook.reviewer_api.review.queues import open_to_reviewers
from secondlook.reviewer_api.review.tasks import State, Task


class LeadService:
    """Others' leases. Time is the clock of `transactions`; every call is one transaction."""

    def __init__(self, transactions: Transactions, policies: PolicyRepository, metrics: ReviewerMetrics) -> None:
        self._transactions, self._policies, self._metrics = transactions, policies, metrics

    async def leases(self, reviewer: str | None) -> list[HeldItem]:
        """What one reviewer, or everyone, holds. No tokens."""
        pool, now = self._transactions.database.pool, self._transactions.clock.now()
        return [HeldItem(**row) for row in await repository.leases(pool, now, reviewer)]

    async def reviewers(self, hours: int) -> list[ReviewerCounts]:
        """What each reviewer holds, and what they judged and gave back in the last hours."""
        pool, now = self._transactions.database.pool, self._transactions.clock.now()
        return [ReviewerCounts(**row) for row in await repository.counts(pool, now, now - timedelta(hours=hours))]

    async def take_back(self, task_id: UUID, by: str) -> Task:
        """End the lease of whoever holds the item, and tell them at their next call. Others get it first.

        Raises:
            NotFound: no such task.
            Conflict: `not_leased`, `undo_open`, `already_decided`, `superseded` or `withdrawn`.
        """
        now = self._transactions.clock.now()
        async with self._transactions.begin() as work:
            task = await tasks_repository.lock(work.connection, task_id)
            freed = tasks.taken_back(task, now)
            await self._end(work.connection, task, await self._limits(work.connection), now)
            await tasks_repository.save(work.connection, freed)
            await append(work.connection, now, by, "lease.taken_back", f"task {task_id}", {"from": task.leased_by})
        self._metrics.returned.labels(LeaseEnd.TAKEN_BACK.value).inc()
        return freed

    async def assign(self, task_id: UUID, reviewer: str, by: str) -> Task:
        """Lease the item to a reviewer for as long as one may be held, whoever holds it now.

        It counts as one of the reviewer's leases; `GET /v1/review/leases` gives them its token. If they hold it
        already, nothing changes.

        Raises:
            NotFound: no such task.
            InvalidInput: nobody of this name may review.
            Conflict: `excluded`, `not_for_reviewer`, `too_many_leases`, `undo_open`, `already_decided`, `superseded` or
                `withdrawn`.
        """
        now = self._transactions.clock.now()
        async with self._transactions.begin() as work:
            connection = work.connection
            target = await _reviewer(connection, reviewer, now)
            limits = await self._limits(connection)
            hand = await leases.lock(connection, reviewer, now)
            task = await tasks_repository.lock(connection, task_id)
            tasks.ensure_takeable(task, now)
            held = task.state is State.LEASED
            if held and task.leased_by == reviewer and task.available_at > now:
                return task
            await self._ensure_for(connection, task, target, now)
            ensure_room(hand, limits, f"{reviewer} holds")
            if held:
                await self._end(connection, task, limits, now)
            until = now + limits.max_hold
            given = tasks.assigned(task, reviewer, uuid4(), now, until)
            await leases.hold(connection, task_id, reviewer, now, until + limits.others_first)
            await tasks_repository.save(connection, given)
            told = {"to": reviewer, **({"from": task.leased_by} if held else {})}
            await append(connection, now, by, "task.assigned", f"task {task_id}", told)
        self._metrics.returned.labels(LeaseEnd.TAKEN_BACK.value).inc(held)
        self._metrics.assigned.inc()
        return given

    async def _ensure_for(self, connection: Connection, task: Task, target: Caller, now: datetime) -> None:
        queues = open_to_reviewers(await self._policies.active(connection))
        closed = task.escalated or (queues is not None and task.queue not in queues)
        if closed and not target.may(Permission.ESCALATIONS):
            raise Conflict(
                "not_for_reviewer",
                f"the item waits in queue {task.queue} for a lead, and {target.subject} lacks the permission "
                "`escalations`",
            )
        if tasks.is_excluded(task, target.subject, (await present(connection, now)).leads):
            raise Conflict("excluded", f"{target.subject} has skipped or judged this item; assign it to somebody else")

    async def _end(self, connection: Connection, task: Task, limits: ReviewPolicy, now: datetime) -> None:
        """Keep that a lead ended the lease of a held task, and that others come before its holder now."""
        if task.lease_token is not None and task.leased_by is not None:
            await leases.end(connection, task.lease_token, task.task_id, task.leased_by, LeaseEnd.TAKEN_BACK, now)
            since = task.held_since or now
            await leases.hold(connection, task.task_id, task.leased_by, since, now + limits.others_first)

    async def _limits(self, connection: Connection) -> ReviewPolicy:
        active = await self._policies.active(connection)
        return active.policy.review if active else ReviewPolicy()


async def _reviewer(connection: Connection, name: str, now: datetime) -> Caller:
    for caller, _ in await active_callers(connection, now):
        if caller.subject == name and caller.may(Permission.REVIEW):
            return caller
    raise InvalidInput(
        [FieldProblem("reviewer", f"nobody called {name} may review; GET /v1/review/reviewers lists the pseudonyms")]
    )
