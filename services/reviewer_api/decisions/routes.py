"""`/v1/decisions` and `/v1/content`, to read."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from secondlook.common.contract.fields import ContentId, Outcome, Source
from secondlook.common.service.authentication import Authenticator, credential_of, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.decisions.schemas import Content, DecisionPage
from secondlook.reviewer_api.decisions.service import DecisionService

Subject = Annotated[str, Query(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


def routes(decisions: DecisionService, authenticator: Authenticator) -> APIRouter:
    """What reviewers, leads and upstream services read."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["decisions"])
    reader = Annotated[Caller, Depends(require(authenticator, Permission.DECISIONS_READ))]

    @router.get("/decisions", summary="List decisions", responses=documented(422))
    async def list_decisions(
        caller: reader,
        outcome: Outcome | None = None,
        decided_by: Annotated[Subject | None, Query(description="`model`, `rule`, or a reviewer's pseudonym")] = None,
        source: Source | None = None,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DecisionPage:
        """Newest first, by `decided_at`. Pages stay stable while new decisions come in: those stand before them.

        Reviewers read their own decisions: others' would tell which items in review were decided before.
        """
        return await decisions.page(caller, outcome, decided_by, source, after, limit)

    @router.get("/content/{source}/{content_id:id}", summary="Read a piece of content", responses=documented(404, 422))
    async def read_content(caller: reader, source: Source, content_id: ContentId, request: Request) -> Content:
        """Where each revision stands, and every decision by sequence. `content_id` may hold slashes.

        What the router has accepted is `accepted` from that moment on.

        While an item is in review, its reviewers read that it is, and nothing else. Later they read what they decided.
        """
        return await decisions.content(caller, source, content_id, await credential_of(request))

    return router
