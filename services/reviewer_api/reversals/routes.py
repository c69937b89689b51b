"""`/v1/decisions/{id}/reverse`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.reversals import schemas
from secondlook.reviewer_api.reversals.service import ReversalService
from secondlook.reviewer_api.review.tasks import verdict

REFUSED = {
    "not_newest": "a later decision is in force",
    "in_review": "the content is in review",
    "not_reviewed": "nobody has reviewed the content, so its text is not here",
    "same_decision": "the decision says so already",
    "superseded": "a newer revision took its place",
    "withdrawn": "the content is gone",
    "no_policy": "a lead must publish a policy first",
}


def routes(reversals: ReversalService, authenticator: Authenticator) -> APIRouter:
    """For whoever made the decision, and with the permission `decisions:reverse` for anybody's."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["decisions"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]

    @router.post(
        "/decisions/{decision_id}/reverse", summary="Reverse a decision", responses=documented(404, 422, **REFUSED)
    )
    async def reverse(decision_id: UUID, given: schemas.NewReversal, caller: reviewer) -> schemas.Reversal:
        """Publish a later decision that supersedes this one. Repeating the call changes nothing."""
        said = verdict(given.outcome, given.labels, given.reason)
        made, sequence = await reversals.reverse(decision_id, caller, said)
        return schemas.Reversal(decision_id=made, sequence=sequence)

    return router
