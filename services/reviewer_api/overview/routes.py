"""`/v1/events` and `/v1/stats`."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from secondlook.common.clock import Clock
from secondlook.common.postgres import Database
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.overview import repository
from secondlook.reviewer_api.overview.live import END, Listener, Live
from secondlook.reviewer_api.overview.schemas import Bucket, Stats

SIGN_OF_LIFE = 15.0  # seconds
LONGEST = 600.0  # seconds; browsers connect again by themselves, and show again who they are


def routes(live: Live, database: Database, clock: Clock, authenticator: Authenticator) -> APIRouter:
    """Reviewers listen, leads read the figures."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["overview"])
    reviewer = Annotated[Caller, Depends(require(authenticator, Permission.REVIEW))]
    figures = Depends(require(authenticator, Permission.QUALITY_READ))

    @router.get("/events", summary="Listen", response_class=StreamingResponse, responses=documented())
    async def events(caller: reviewer) -> StreamingResponse:
        """Server-sent events: `queues`, as `GET /v1/queues` answers, at first and whenever they change; `closed`
        (`task_id`, `why`: superseded, withdrawn, taken_back, expired) when an item that you hold is taken from you.

        The stream ends after 10 minutes, or when the service stops; connect again.
        """
        live.ensure_room(caller.subject)

        async def stream() -> AsyncIterator[bytes]:
            with live.listen(caller.subject) as listener:
                async for line in told(listener):
                    yield line

        return StreamingResponse(
            stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    @router.get("/stats", summary="Count over time", dependencies=[figures], responses=documented(422))
    async def stats(
        hours: Annotated[int, Query(ge=1, le=24 * 31, description="how far back")] = 24,
        buckets: Annotated[int, Query(ge=1, le=400)] = 48,
    ) -> Stats:
        """Requests, verdicts and decisions, by equal parts of the last hours."""
        until = clock.now()
        since, width = until - timedelta(hours=hours), timedelta(hours=hours) / buckets
        async with database.pool.acquire() as connection:
            rows = await repository.stats(connection, since, width, until)
        counted = [Bucket(**row) for row in rows]
        return Stats(since=since, until=until, bucket_seconds=width.total_seconds(), buckets=counted)

    return router


async def told(listener: Listener) -> AsyncIterator[bytes]:
    """The listener's events as they stand on the wire, until the END, for LONGEST at most."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + LONGEST
    while (left := ends - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(SIGN_OF_LIFE, left)):
                event, data = await listener.events.get()
        except TimeoutError:
            yield b": still here\n\n"
        else:
            if (event, data) == END:
                return
            yield f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
