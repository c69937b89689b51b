"""`/v1/review`, `/v1/queues` and undo."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from secondlook.common.contract.fields import Source, Str
from secondlook.common.contract.policy import QueueName
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.leases.waiting import Chosen, Listed
from secondlook.reviewer_api.review import schemas
from secondlook.reviewer_api.review.claims import waiting_task
from secondlook.reviewer_api.review.queues import QueueService
from secondlook.reviewer_api.review.service import ReviewService
from secondlook.reviewer_api.review.tasks import Task, verdict

HELD = {
    "lease_lost": "the lease ran out and the item was given out again, it was given back, or a lead took it back",
    "already_decided": "the item has been decided",
    "superseded": "a newer revision took its place",
    "withdrawn": "the content is gone",
}
TOO_MANY = {"too_many_leases": "you hold as many items as the policy allows"}
TOO_MANY_RETURNS = {
    "too_many_returns": "you gave back, let go or undid many more items than you judged in the last hour"
}
TOO_LONG = {"held_too_long": "you have had the item for as long as the policy allows"}
NO_POLICY = {"no_policy": "a lead must publish a policy first"}
TOO_LATE = {
    "already_published": "the undo time is over",
    "second_opinion": "the undo time is over and another reviewer is asked",
    "not_decided": "there is nothing to undo",
    "superseded": HELD["superseded"],
    "withdrawn": HELD["withdrawn"],
}


def routes(reviews: ReviewService, queues: QueueService, authenticator: Authenticator) -> APIRouter:
    """What reviewers and leads call."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["review"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]

    @router.post(
        "/review/claims", summary="Claim items", responses=documented(404, 422, **TOO_MANY, **TOO_MANY_RETURNS)
    )
    async def claim(wanted: schemas.Claim, caller: reviewer) -> schemas.Claims:
        """Lease the next items: the oldest first, urgent ones ahead of their turn. Empty: nothing waits for you.

        Fewer than `limit` where the policy's cap on leases leaves room for fewer.
        """
        return await reviews.claim(caller, wanted.limit, wanted.queue, _chosen(wanted))

    @router.get("/review/tasks", summary="List what waits", responses=documented(422))
    async def waiting(
        caller: reviewer,
        queue: QueueName | None = None,
        source: Source | None = None,
        author_id: Annotated[Str | None, Query(min_length=1, max_length=256)] = None,
        text: Annotated[Str | None, Query(max_length=200)] = None,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> schemas.WaitingTasks:
        """In the order in which claims give them out; `task_ids` of a claim takes them from here."""
        wanted = Listed(None, False, source, author_id, text or None)
        rows, active = await queues.waiting(caller, wanted, queue, after, limit + 1)
        tasks = [waiting_task(row, active) for row in rows[:limit]]
        return schemas.WaitingTasks(tasks=tasks, next=tasks[-1].task_id if len(rows) > limit else None)

    @router.post("/review/leave", summary="Close the page", status_code=204, responses=documented(422))
    async def leave(closed: schemas.ClosedPage, caller: reviewer) -> None:
        """These leases end in 30 seconds, unless they are renewed first, as after a reload."""
        await reviews.leave(caller, {lease.task_id: lease.lease_token for lease in closed.leases})

    @router.get("/review/leases", summary="List your leases", responses=documented())
    async def leases(caller: reviewer) -> schemas.Claims:
        """What you hold, as the claim showed it, tokens included: a client that crashed resumes from here."""
        return await reviews.held(caller)

    @router.post(
        "/review/tasks/{task_id}/decision", summary="Judge an item", responses=documented(404, 422, **HELD, **NO_POLICY)
    )
    async def decide(task_id: UUID, given: schemas.NewVerdict, caller: reviewer) -> schemas.DecisionState:
        """The verdict can be undone until `undo_until`, then it is published. Repeating the call changes nothing."""
        said = verdict(given.outcome, given.labels, given.note)
        taken = await reviews.decide(task_id, given.lease_token, caller, said)
        return schemas.DecisionState(decision_id=taken.decision_id, undo_until=taken.undo_until, state=taken.result)

    @router.post(
        "/review/tasks/{task_id}/heartbeat",
        summary="Keep an item",
        responses=documented(404, 422, **HELD, **TOO_LONG, **TOO_MANY),
    )
    async def heartbeat(task_id: UUID, held: schemas.Held, caller: reviewer) -> schemas.Lease:
        """Renew the lease, until you have had the item for as long as the policy allows."""
        return schemas.Lease(lease_expires_at=await reviews.heartbeat(task_id, held.lease_token, caller))

    @router.post("/review/tasks/{task_id}/release", summary="Give an item back", responses=documented(404, 422, **HELD))
    async def release(task_id: UUID, held: schemas.Held, caller: reviewer) -> schemas.TaskState:
        """Others get it first: it is offered to you again when the policy's time for that is over, or at once if
        nobody else is there."""
        return _state(await reviews.release(task_id, held.lease_token, caller))

    @router.post("/review/tasks/{task_id}/skip", summary="Skip an item", responses=documented(404, 422, **HELD))
    async def skip(task_id: UUID, held: schemas.Held, caller: reviewer) -> schemas.TaskState:
        """Give it back and never get it again. If everybody whose work it is has skipped or judged it, leads get it.

        An escalated item comes back to you, but only after all leads have skipped or judged it.
        """
        return _state(await reviews.skip(task_id, held.lease_token, caller))

    @router.post(
        "/review/tasks/{task_id}/escalate",
        summary="Hand an item to the leads",
        responses=documented(404, 422, **HELD, **NO_POLICY),
    )
    async def escalate(task_id: UUID, held: schemas.Escalation, caller: reviewer) -> schemas.TaskState:
        """It moves to the policy's escalation queue."""
        return _state(await reviews.escalate(task_id, held.lease_token, caller, held.note))

    @router.post("/decisions/{decision_id}/undo", summary="Undo a verdict", responses=documented(404, 422, **TOO_LATE))
    async def undo(decision_id: UUID, caller: reviewer) -> schemas.TaskState:
        """Only its reviewer, or a lead, and only until `undo_until`. The item is back in its queue."""
        return _state(await reviews.undo(decision_id, caller))

    @router.get(
        "/queues", summary="List queues", dependencies=[Depends(require(authenticator, Permission.REVIEW))],
        responses=documented(),
    )  # fmt: skip
    async def list_queues() -> schemas.Queues:
        """How much waits in each queue, and for how long."""
        return schemas.Queues(queues=[schemas.Queue(**vars(queue)) for queue in await queues.all()])

    return router


def _chosen(wanted: schemas.Claim) -> Chosen | None:
    if wanted.task_ids is None and wanted.filter is None:
        return None
    return Chosen(wanted.task_ids, **(wanted.filter or schemas.ClaimFilter()).model_dump())


def _state(task: Task) -> schemas.TaskState:
    return schemas.TaskState(task_id=task.task_id, state=task.state, queue=task.queue)
