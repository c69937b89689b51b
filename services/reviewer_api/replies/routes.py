"""`/v1/review/texts`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.replies import schemas
from secondlook.reviewer_api.replies.service import SavedTextService

TOO_MANY = {"too_many_texts": "you keep as many texts as anybody may"}


def routes(texts: SavedTextService, authenticator: Authenticator) -> APIRouter:
    """For whoever reviews."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/review/texts", tags=["review"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]

    @router.get("", summary="List your saved texts", responses=documented())
    async def list_texts(caller: reviewer) -> schemas.SavedTexts:
        """What you write often, in notes and reasons. Nobody else sees them."""
        return schemas.SavedTexts(texts=await texts.all(caller))

    @router.post("", summary="Save a text", status_code=201, responses=documented(422, **TOO_MANY))
    async def save(new: schemas.NewSavedText, caller: reviewer) -> schemas.SavedText:
        """One that is saved already comes first again."""
        return await texts.keep(caller, new.text)

    @router.delete("/{text_id}", summary="Remove a saved text", status_code=204, responses=documented(404, 422))
    async def remove(text_id: UUID, caller: reviewer) -> None:
        """It is gone."""
        await texts.remove(caller, text_id)

    return router
