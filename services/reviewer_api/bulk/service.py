"""One verdict on many items, and its undo."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from secondlook.common.contract.policy import Audit, Policy
from secondlook.common.errors import Conflict, FieldProblem, Forbidden, InvalidInput, NotFound
from secondlook.common.postgres import Connection
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.bulk import repository
from secondlook.reviewer_api.bulk.repository import Fresh, GivenTogether
from secondlook.reviewer_api.bulk.schemas import BulkState, LeftTask, NearTask, NearTasks, NewBulk, Reason, UndoneBulk
from secondlook.reviewer_api.leases import near
from secondlook.reviewer_api.leases import repository as leases
from secondlook.reviewer_api.leases.hand import ensure_judges
from secondlook.reviewer_api.leases.waiting import Chosen
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy
from secondlook.reviewer_api.review import repository as reviews
from secondlook.reviewer_api.review import tasks
from secondlook.reviewer_api.review.claims import waiting_task
from secondlook.reviewer_api.review.queues import open_to, open_to_reviewers
from secondlook.reviewer_api.review.reasons import REASONS
from secondlook.reviewer_api.review.service import keep, quorum, undo
from secondlook.reviewer_api.review.tasks import Judgement, Task, Verdict
from secondlook.reviewer_api.review.verdicts import ensure_labels


def checked(item: Fresh, audit: Audit, share: float) -> bool:
    """Whether a second reviewer judges an item of a bulk by itself: what is evidence, and this share of the rest.

    What the certificates rest on is never taken from a verdict on a heap of items. The coin is the one that drew the
    evidence, so that what is checked beside it is drawn independently of the text, too. Pure.
    """
    if REASONS[item.why].confirms:  # an audit or a second look
        return True
    drawn = audit.most if item.drawn_below is None else item.drawn_below
    return item.u < drawn + (1 - drawn) * share


class BulkService:
    """Every call is one transaction."""

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

    async def fill(self) -> None:
        """Keep the embeddings of what is open, where the database can."""
        async with self._transactions.database.pool.acquire() as connection:
            await near.fill(connection)

    async def near(self, task_id: UUID, caller: Caller, similarity: float, limit: int) -> NearTasks:
        """What the caller could judge together with an item that they hold; raises Conflict `lease_lost`."""
        async with self._transactions.database.pool.acquire() as connection:
            now = self._clock.now()
            if not await repository.holds(connection, task_id, caller.subject, now):
                raise Conflict("lease_lost", "you do not hold this item")
            if not await near.kept(connection):
                return NearTasks(available=False, tasks=[])
            active = await self._policies.active(connection)
            rows = await near.near(
                connection, task_id, similarity, now, caller.subject, queues=open_to(active, caller),
                escalated=caller.may(Permission.ESCALATIONS), limit=limit,
            )  # fmt: skip
        shown = [(waiting_task(row, active), row["similarity"]) for row in rows]
        return NearTasks(
            available=True, tasks=[NearTask(**task.model_dump(), similarity=found) for task, found in shown]
        )

    async def judge(self, caller: Caller, wanted: NewBulk, verdict: Verdict) -> BulkState:
        """Judge what the caller may judge of these items; the rest is left as it is.

        Raises:
            Conflict: `bulk_off`, `too_many_returns`, `no_policy`; `already_decided`: the id stands for other verdicts.
            InvalidInput: a label is not in the policy, or there are more items than it allows.
        """
        async with self._transactions.begin() as work:
            active = await self._policies.required(work.connection)
            _ensure_allowed(active.policy, wanted, verdict)
            now = self._clock.now()
            ensure_judges(await leases.enter(work.connection, caller.subject, now), active.policy.review)
            before = await repository.lock(work.connection, wanted.bulk_id)
            _ensure_same(before, caller, verdict)
            undo_until = before[0].undo_until if before else now + self._undo_grace
            done = {given.task_id for given in before}
            made = [] if before else await self._judge(work.connection, caller, active, wanted, verdict, now)
        for _, judgement in made:
            self._metrics.judgements.labels(verdict.outcome, judgement.result.value).inc()
        done |= {task_id for task_id, _ in made}
        left = [LeftTask(task_id=each, reason="not_available") for each in wanted.task_ids if each not in done]
        return BulkState(bulk_id=wanted.bulk_id, judged=len(done), undo_until=undo_until if done else None, left=left)

    async def undo(self, bulk_id: UUID, caller: Caller) -> UndoneBulk:
        """Take back every verdict of a bulk whose grace lasts: the caller's own, or, with `undo:any`, anybody's.

        Raises:
            NotFound: no such bulk.
            Forbidden: another reviewer made it.
        """
        undone, left = 0, []
        async with self._transactions.begin() as work:
            given = [each for each in await repository.lock(work.connection, bulk_id) if not each.undone]
            if not given:
                raise NotFound(f"there is no bulk {bulk_id} with verdicts to undo")
            if not caller.may(Permission.UNDO_ANY) and given[0].reviewer != caller.subject:
                raise Forbidden("only the reviewer who decided, or a lead, may undo this")
            limits, now = (await self._policies.required(work.connection)).policy.review, self._clock.now()
            for each in given:
                task = await reviews.lock(work.connection, each.task_id)
                try:
                    await undo(work.connection, task, caller, now, limits)
                    undone += 1
                except Conflict as conflict:
                    left.append(LeftTask(task_id=each.task_id, reason=_gone(conflict)))
            if undone and given[0].reviewer != caller.subject:
                told = {"of": given[0].reviewer, "undone": undone}
                await append(work.connection, now, caller.subject, "bulk.undone", f"bulk {bulk_id}", told)
        self._metrics.undos.inc(undone)
        return UndoneBulk(bulk_id=bulk_id, undone=undone, left=left)

    async def _judge(
        self,
        connection: Connection,
        caller: Caller,
        active: PublishedPolicy,
        wanted: NewBulk,
        verdict: Verdict,
        now: datetime,
    ) -> list[tuple[UUID, Judgement]]:
        fresh = {
            item.task_id: item for item in await repository.fresh(connection, wanted.task_ids, caller.subject, now)
        }
        held = {item.task_id for item in fresh.values() if item.held}
        claimed = await self._claim(connection, caller, active, sorted(fresh.keys() - held), now)
        made = []
        # None but the caller's: two who waited for each other's items would wait for ever.
        for task_id in sorted(held | claimed):
            task = await reviews.lock(connection, task_id)
            if task.leased_by != caller.subject or task.state is not tasks.State.LEASED or task.available_at <= now:
                continue
            judgement = Judgement(
                lease_token=_token(task),
                reviewer=caller.subject,
                verdict=verdict,
                result=tasks.result_of(task, (), verdict, _quorum(active.policy, task, verdict, fresh[task_id])),
                undo_until=now + self._undo_grace,
            )
            await keep(connection, task, (), judgement, active, now, wanted.bulk_id)
            made.append((task_id, judgement))
        return made

    async def _claim(
        self, connection: Connection, caller: Caller, active: PublishedPolicy, task_ids: Sequence[UUID], now: datetime
    ) -> set[UUID]:
        """Lease those that the caller may have, for no longer than this transaction: each is judged in it."""
        if not task_ids:
            return set()
        until = now + self._lease
        claimed = await reviews.claim(
            connection, caller.subject, len(task_ids), now, until, queue=None, open_queues=open_to(active, caller),
            escalated=caller.may(Permission.ESCALATIONS), reviewers_queues=open_to_reviewers(active),
            again_at=until + active.policy.review.others_first, only=Chosen(task_ids),
        )  # fmt: skip
        return {task.task_id for task in claimed}


def _ensure_allowed(policy: Policy, wanted: NewBulk, verdict: Verdict) -> None:
    most = policy.review.max_bulk
    if most == 0:
        raise Conflict("bulk_off", "the policy lets nobody judge items together (review.max_bulk is 0)")
    if len(wanted.task_ids) > most:
        problem = f"{len(wanted.task_ids)} items, and the policy allows {most} at once"
        raise InvalidInput([FieldProblem("task_ids", problem)])
    ensure_labels(policy, verdict.labels)


def _ensure_same(before: Sequence[GivenTogether], caller: Caller, verdict: Verdict) -> None:
    if not before:
        return
    if before[0].reviewer != caller.subject or not before[0].verdict.agrees(verdict):
        raise Conflict("already_decided", "this bulk_id stands for other verdicts: make a new one")
    if any(given.undone for given in before):
        raise Conflict("already_decided", "these verdicts were undone: make a new bulk_id to judge again")


def _quorum(policy: Policy, task: Task, verdict: Verdict, item: Fresh) -> int:
    return 2 if checked(item, policy.audit, policy.review.bulk_checked) else quorum(policy, task, verdict)


def _gone(conflict: Conflict) -> Reason:
    """Why a verdict stands. Whether a second reviewer was asked is not told: it would tell what is evidence."""
    if conflict.code == "superseded":
        return "superseded"
    return "withdrawn" if conflict.code == "withdrawn" else "too_late"


def _token(task: Task) -> UUID:
    assert task.lease_token is not None  # noqa: S101 - the schema says so of whatever is leased
    return task.lease_token
