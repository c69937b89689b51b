"""`/v1/search`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from secondlook.common.contract.fields import Moment, Outcome, Source, Str
from secondlook.common.contract.policy import QueueName
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.search.repository import Wanted
from secondlook.reviewer_api.search.schemas import SearchPage, SearchState
from secondlook.reviewer_api.search.service import SearchService, states_of
from secondlook.reviewer_api.texts import WORDS

SearchWords = Annotated[Str, Query(max_length=200, description=WORDS)]
Exactly = Annotated[Str, Query(min_length=1, max_length=256)]


def routes(search: SearchService, authenticator: Authenticator) -> APIRouter:
    """Takes the permission `decisions:read`."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["search"])
    reader = Annotated[Caller, Depends(require(authenticator, Permission.DECISIONS_READ))]

    @router.get("/search", summary="Search", responses=documented(422))
    async def find(
        caller: reader,
        text: SearchWords | None = None,
        author_id: Exactly | None = None,
        source: Source | None = None,
        label: Exactly | None = None,
        outcome: Outcome | None = None,
        state: SearchState | None = None,
        decided_by: Exactly | None = None,
        queue: QueueName | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> SearchPage:
        """Whatever was sent to review, newest first. Reviewers find what they judged, once it is settled."""
        wanted = Wanted(
            text=text or None, author_id=author_id, source=source, label=label, outcome=outcome,
            states=state and states_of(state), decided_by=decided_by, queue=queue, since=since, until=until,
        )  # fmt: skip
        return await search.search(caller, wanted, after, limit)

    return router
