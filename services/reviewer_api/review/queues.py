"""The depth and age of each queue, for people and for metrics."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal
from uuid import UUID

from secondlook.common.contract.policy import QueuePolicy
from secondlook.common.errors import Forbidden
from secondlook.common.postgres import Row
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.leases.waiting import Listed, waiting
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.review import repository

CALM = 50  # times what counting for the gauges takes, between two counts: beside a million items it takes a second
ALONE = "SET LOCAL max_parallel_workers_per_gather = 0"  # counting must leave the other processors to claims
BEFORE_ANY_POLICY = "default"  # where the router sends items that arrive before the first policy


def open_to_reviewers(active: PublishedPolicy | None) -> list[str] | None:
    """The queues that a reviewer may work on without the permission `escalations`; None, without a policy: all.

    A queue that the policy in force does not name may have been closed to reviewers, so it is closed to them now.
    """
    if active is None:
        return None
    queues = active.policy.queues
    unplaced = [] if BEFORE_ANY_POLICY in queues else [BEFORE_ANY_POLICY]
    return [*unplaced, *(name for name, queue in queues.items() if queue.role == "reviewer")]


def open_to(active: PublishedPolicy | None, caller: Caller) -> list[str] | None:
    """The queues that the caller may work on; None: all."""
    return None if caller.may(Permission.ESCALATIONS) else open_to_reviewers(active)


@dataclass(frozen=True)
class QueueState:
    """A queue of the policy, or one that the policy no longer has but that still holds items (`role` None)."""

    name: str
    role: Literal["reviewer", "lead"] | None
    pending: int
    leased: int
    oldest_pending_seconds: float | None
    sla_minutes: int | None
    overdue: int


class QueueService:
    """Reads the queues; changes nothing."""

    def __init__(self, transactions: Transactions, policies: PolicyRepository, metrics: ReviewerMetrics) -> None:
        self._transactions, self._policies, self._metrics = transactions, policies, metrics
        self._next = 0.0

    async def all(self) -> list[QueueState]:
        """The queues of the policy in its order, then the others by name."""
        _, states = await self._read()
        return states

    async def waiting(
        self, caller: Caller, wanted: Listed, queue: str | None, after: UUID | None, limit: int
    ) -> tuple[list[Row], PublishedPolicy | None]:
        """Open items in the order of claims, of one queue or of all that the caller may work on, behind `after`; and
        the policy in force. `wanted` says what else they must be like.

        Raises:
            Forbidden: the queue takes the permission `escalations`.
        """
        async with self._transactions.database.pool.acquire() as connection:
            active = await self._policies.active(connection)
            queues = open_to(active, caller)
            if queue is not None:
                if queues is not None and queue not in queues:
                    raise Forbidden(f"queue {queue} is for leads")
                queues = [queue]
            wanted = replace(wanted, queues=queues, escalated=caller.may(Permission.ESCALATIONS))
            now = self._transactions.clock.now()
            return await waiting(connection, now, wanted, after, limit), active

    async def measure(self) -> None:
        """Set the queue gauges and the policy's. A queue that no longer exists is removed from them.

        Nothing is counted where counting would take more than one part in CALM of the time.
        """
        if (began := perf_counter()) < self._next:
            return
        version, states = await self._read()
        self._next = perf_counter() + CALM * (perf_counter() - began)
        gauges = self._metrics
        gauges.policy_version.set(version)
        for gauge in (gauges.queue_depth, gauges.queue_leased, gauges.queue_oldest, gauges.queue_overdue):
            gauge.clear()
        for state in states:
            gauges.queue_depth.labels(state.name).set(state.pending)
            gauges.queue_leased.labels(state.name).set(state.leased)
            gauges.queue_oldest.labels(state.name).set(state.oldest_pending_seconds or 0)
            gauges.queue_overdue.labels(state.name).set(state.overdue)

    async def _read(self) -> tuple[int, list[QueueState]]:
        """The version of the policy in force, 0 without one, and the queues."""
        async with self._transactions.database.pool.acquire() as connection, connection.transaction():
            await connection.execute(ALONE)
            active = await self._policies.active(connection)
            known: dict[str, QueuePolicy] = active.policy.queues if active else {}
            now = self._transactions.clock.now()
            sla = {name: queue.sla_minutes for name, queue in known.items()}
            depths = {depth.queue: depth for depth in await repository.queues(connection, now, sla)}
        found = []
        for name in [*known, *sorted(depths.keys() - known.keys())]:
            depth, queue = depths.get(name), known.get(name)
            found.append(
                QueueState(
                    name=name,
                    role=queue.role if queue else None,
                    pending=depth.pending if depth else 0,
                    leased=depth.leased if depth else 0,
                    oldest_pending_seconds=(now - depth.oldest).total_seconds() if depth and depth.oldest else None,
                    sla_minutes=queue.sla_minutes if queue else None,
                    overdue=depth.overdue if depth else 0,
                )
            )
        return active.version if active else 0, found
