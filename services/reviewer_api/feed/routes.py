"""`/v1/decisions/feed` and `/v1/decisions/stream`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from secondlook.common.contract.fields import Label, Outcome, Source
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.feed.repository import Which
from secondlook.reviewer_api.feed.schemas import FeedPage
from secondlook.reviewer_api.feed.service import Feed, Followed

SIGN_OF_LIFE = 15.0  # seconds
LONGEST = 600.0  # seconds of one stream; clients connect again, from the last `id` on

Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the answer before; `now`: from the end on")]
Sources = Annotated[list[Source] | None, Query(max_length=64, description="of these sources; repeatable")]
Labels = Annotated[list[Label] | None, Query(max_length=64, description="with one of these labels; repeatable")]
DecidedBy = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="`model`, `rule`, or a reviewer's pseudonym"),
]


def routes(feed: Feed, authenticator: Authenticator) -> APIRouter:
    """What upstream services follow."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["decisions"])
    follower = Annotated[Caller, Depends(require(authenticator, Permission.DECISIONS_FOLLOW))]

    @router.get("/decisions/feed", summary="Follow decisions", responses=documented(422))
    async def read_feed(
        caller: follower,
        after: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
        wait: Annotated[float, Query(ge=0, le=30, description="seconds to wait where there is nothing yet")] = 0,
        source: Sources = None,
        label: Labels = None,
        outcome: Outcome | None = None,
        decided_by: DecidedBy = None,
    ) -> FeedPage:
        """Every decision, oldest first, from a cursor on; without one from the first.

        No decision is ever skipped, and none moves: read, do what follows from it, keep `next`, and a crash loses
        nothing. Of one piece of content the highest `sequence` counts.
        """
        which = Which(sources=source, labels=label, outcome=outcome, decided_by=decided_by)
        return await feed.page(caller, after, which, limit, wait)

    @router.get(
        "/decisions/stream", summary="Stream decisions", response_class=StreamingResponse, responses=documented(422)
    )
    async def stream(
        caller: follower,
        after: Cursor = None,
        source: Sources = None,
        label: Labels = None,
        outcome: Outcome | None = None,
        decided_by: DecidedBy = None,
        last_event_id: Annotated[str | None, Header(max_length=40, description="counts before `after`")] = None,
    ) -> StreamingResponse:
        """Server-sent events over the same cursor: `id` is the cursor behind the decision in `data`.

        It ends after 10 minutes, or when the service stops; connect again with `Last-Event-ID`, as browsers do.
        """
        which = Which(sources=source, labels=label, outcome=outcome, decided_by=decided_by)
        cursor = last_event_id or after
        await feed.start(cursor)
        feed.ensure_room(caller)
        return StreamingResponse(
            lines(feed.stream(caller, cursor, which)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return router


async def lines(decisions: AsyncIterator[Followed]) -> AsyncIterator[bytes]:
    """The decisions as they stand on the wire, with a sign of life while there are none, for LONGEST at most."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + LONGEST
    coming: asyncio.Future[Followed] = asyncio.ensure_future(anext(decisions))
    try:
        yield b": following\n\n"
        while (left := ends - loop.time()) > 0:
            done, _ = await asyncio.wait([coming], timeout=min(SIGN_OF_LIFE, left))
            if not done:
                yield b": still here\n\n"
                continue
            try:
                found = coming.result()
            except StopAsyncIteration:
                return
            coming = asyncio.ensure_future(anext(decisions))
            yield "".join(
                f"id: {cursor}\nevent: decision\ndata: {decision.model_dump_json()}\n\n" for cursor, decision in found
            ).encode()
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
