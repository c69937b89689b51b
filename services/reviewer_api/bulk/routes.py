"""`/v1/review/tasks/{id}/near` and `/v1/review/bulks`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.bulk import schemas
from secondlook.reviewer_api.bulk.service import BulkService
from secondlook.reviewer_api.review.tasks import verdict

NOT_YOURS = {"lease_lost": "you do not hold the item"}
REFUSED = {
    "bulk_off": "the policy lets nobody judge items together",
    "too_many_returns": "you gave back, let go or undid many more items than you judged in the last hour",
    "already_decided": "the id stands for other verdicts, or they were undone",
    "no_policy": "a lead must publish a policy first",
}


def routes(bulks: BulkService, authenticator: Authenticator) -> APIRouter:
    """For whoever reviews."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/review", tags=["review"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]

    @router.get("/tasks/{task_id}/near", summary="Find near copies of an item", responses=documented(422, **NOT_YOURS))
    async def near(
        task_id: UUID,
        caller: reviewer,
        similarity: Annotated[float, Query(ge=0.5, le=1, description="cosine of the embeddings, at least")] = 0.9,
        limit: Annotated[int, Query(ge=1, le=schemas.MOST)] = 200,
    ) -> schemas.NearTasks:
        """What you could judge together with an item that you hold. Look through them before you do."""
        return await bulks.near(task_id, caller, similarity, limit)

    @router.post("/bulks", summary="Judge many items", responses=documented(422, **REFUSED))
    async def judge(wanted: schemas.NewBulk, caller: reviewer) -> schemas.BulkState:
        """One verdict on what you hold of these items and what you could claim. It can be undone until `undo_until`.

        The coin draws some of them for a second reviewer, who judges them one by one; they are not decided before.
        """
        return await bulks.judge(caller, wanted, verdict(wanted.outcome, wanted.labels, wanted.note))

    @router.post("/bulks/{bulk_id}/undo", summary="Undo many verdicts", responses=documented(404, 422))
    async def undo(bulk_id: UUID, caller: reviewer) -> schemas.UndoneBulk:
        """All of a bulk whose undo time is not over. Only its reviewer, or a lead."""
        return await bulks.undo(bulk_id, caller)

    return router
