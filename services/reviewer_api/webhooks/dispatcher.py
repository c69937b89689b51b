"""All endpoints: which of them this process serves, so that no two processes serve one at a time."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from secondlook.common.clock import Clock
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.reviewer_api.feed import repository as feed
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.webhooks import repository
from secondlook.reviewer_api.webhooks.endpoint import Endpoint

HOLD_SECONDS, RENEW_SECONDS, LOOK_SECONDS = 30.0, 1.0, 0.1
KEEP_DELIVERED, KEEP_FAILED = timedelta(days=3), timedelta(days=30)

log = structlog.get_logger()


class Dispatcher:
    """Runs an endpoint for each webhook that it holds."""

    def __init__(self, database: Database, clock: Clock, metrics: ReviewerMetrics, *, private: bool) -> None:
        self._database, self._clock, self._metrics, self._private = database, clock, metrics, private
        self._holder = uuid4()
        self._endpoints: dict[UUID, tuple[Endpoint, asyncio.Task[None]]] = {}
        self._position = -1

    async def run(self) -> None:
        """Run until cancelled. Another process takes over at once after a stop, within HOLD_SECONDS after a crash."""
        loop = asyncio.get_running_loop()
        renewed = -RENEW_SECONDS
        try:
            while True:
                with suppress(*TRANSIENT):
                    if loop.time() - renewed >= RENEW_SECONDS:
                        await self._renew(loop)
                        renewed = loop.time()
                    await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._end(list(self._endpoints))
            with suppress(*TRANSIENT):
                await self._database.pool.execute(repository.LET_GO, self._holder)

    async def tidy(self) -> None:
        """Forget deliveries that are long over."""
        now = self._clock.now()
        await self._database.pool.execute(repository.TIDY, now - KEEP_DELIVERED, now - KEEP_FAILED)

    async def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        until = loop.time() + HOLD_SECONDS
        rows = {
            row["webhook_id"]: row for row in await repository.hold(self._database.pool, self._holder, HOLD_SECONDS)
        }
        await self._end([webhook for webhook in self._endpoints if webhook not in rows or self._ended(webhook)])
        for webhook, row in rows.items():
            if webhook not in self._endpoints:
                endpoint = Endpoint(
                    row, self._holder, self._database, self._clock, self._metrics, private=self._private
                )
                self._endpoints[webhook] = endpoint, asyncio.create_task(endpoint.run())
            self._endpoints[webhook][0].hold(row, until)

    async def _look(self) -> None:
        if not self._endpoints:
            return
        position = (await feed.head(self._database.pool)).position
        if position != self._position:
            self._position = position
            for endpoint, _ in self._endpoints.values():
                endpoint.stir()

    def _ended(self, webhook: UUID) -> bool:
        return self._endpoints[webhook][1].done()

    async def _end(self, webhooks: list[UUID]) -> None:
        tasks = [self._endpoints.pop(webhook)[1] for webhook in webhooks]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):  # it is started again with the next renewal
                log.error("endpoint ended", error=repr(result), exc_info=result)
