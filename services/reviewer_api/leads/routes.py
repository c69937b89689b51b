"""`/v1/review` for leads: others' leases, take-back, assignment, counts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.leads import schemas
from secondlook.reviewer_api.leads.service import LeadService
from secondlook.reviewer_api.review.schemas import TaskState

CLOSED = {
    "already_decided": "the item has been decided",
    "undo_open": "the first verdict on it can still be undone",
    "superseded": "a newer revision took its place",
    "withdrawn": "the content is gone",
}
NOT_LEASED = {"not_leased": "nobody holds the item"}
NOT_THIS_ONE = {
    "excluded": "the reviewer skipped or judged the item",
    "not_for_reviewer": "the item waits for a lead, and the reviewer is none",
    "too_many_leases": "the reviewer holds as many items as the policy allows",
}


def routes(leads: LeadService, authenticator: Authenticator) -> APIRouter:
    """All take the permission `leases:any`."""
    required = require(authenticator, Permission.LEASES_ANY)
    lead = Annotated[Caller, Depends(required)]
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/review", tags=["leads"], dependencies=[Depends(required)])

    @router.get("/leases/all", summary="List others' leases", responses=documented(422))
    async def leases(
        reviewer: Annotated[schemas.Reviewer | None, Query(description="whose; without it, everyone's")] = None,
    ) -> schemas.HeldItems:
        """Who holds what, since when and until when, without the tokens."""
        return schemas.HeldItems(leases=await leads.leases(reviewer))

    @router.get("/reviewers", summary="Count what reviewers do", responses=documented(422))
    async def reviewers(
        hours: Annotated[int, Query(ge=1, le=720, description="how far back to count")] = 24,
    ) -> schemas.Reviewers:
        """Leases, verdicts, and items given back, by reviewer."""
        return schemas.Reviewers(hours=hours, reviewers=await leads.reviewers(hours))

    @router.post(
        "/tasks/{task_id}/take-back",
        summary="Take an item back",
        responses=documented(404, 422, **CLOSED, **NOT_LEASED),
    )
    async def take_back(task_id: UUID, caller: lead) -> TaskState:
        """End anyone's lease. The holder's next call is answered 409 `lease_lost`, and others get the item first."""
        task = await leads.take_back(task_id, caller.subject)
        return TaskState(task_id=task.task_id, state=task.state, queue=task.queue)

    @router.post(
        "/tasks/{task_id}/assign", summary="Assign an item", responses=documented(404, 422, **CLOSED, **NOT_THIS_ONE)
    )
    async def assign(task_id: UUID, to: schemas.Assignment, caller: lead) -> TaskState:
        """Lease the item to a reviewer for as long as the policy lets one be held, whoever holds it now.

        The reviewer finds it, with its token, under `GET /v1/review/leases`.
        """
        task = await leads.assign(task_id, to.reviewer, caller.subject)
        return TaskState(task_id=task.task_id, state=task.state, queue=task.queue)

    return router
