"""Beside an item: `/v1/review/tasks/{id}/context`, `/v1/authors`, `/v1/notes`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from secondlook.common.contract.fields import Source, Str
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.background import schemas
from secondlook.reviewer_api.background.service import BackgroundService

NOT_YOURS = {"lease_lost": "you do not hold the item"}
AuthorId = Annotated[Str, Path(min_length=1, max_length=256)]


def routes(background: BackgroundService, authenticator: Authenticator) -> APIRouter:
    """For whoever holds an item, and for leads."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["background"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]
    reads_all = Annotated[Caller, Depends(require(authenticator, Permission.DECISIONS_ANY))]

    @router.get(
        "/review/tasks/{task_id}/context", summary="See what stands beside an item",
        responses=documented(422, **NOT_YOURS),
    )  # fmt: skip
    async def context(task_id: UUID, caller: reviewer) -> schemas.Background:
        """The author's settled content, the thread's, and notes, while you hold the item."""
        return await background.of_task(task_id, caller)

    @router.get("/authors/{source}/{author_id:id}", summary="Read an author's history", responses=documented(422))
    async def author(source: Source, author_id: AuthorId, caller: reads_all) -> schemas.Author:
        """What people were asked about by this author, as far as it is settled. `author_id` may hold slashes."""
        caller.ensure_source(source)
        return await background.author(source, author_id)

    @router.post("/notes", summary="Write a note", status_code=201, responses=documented(404, 422))
    async def write(note: schemas.NewNote, caller: reviewer) -> schemas.WrittenNote:
        """For colleagues: it is shown beside every later review of the content."""
        return await background.write(note.source, note.content_id, caller, note.text)

    return router
