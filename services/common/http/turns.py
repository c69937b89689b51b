"""Heavy work takes turns, and pauses for the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from secondlook.common.errors import Busy

SLICE_SECONDS = 0.001


class Turns:
    """At most `at_once` callers work at a time; up to `waiting` more wait, in order."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free, self._most, self._waiting = asyncio.Semaphore(at_once), waiting, 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        Raises:
            Busy: too many wait already.
        """
        if self._free.locked() and self._waiting >= self._most:
            raise Busy(f"{self._most} requests of this kind wait already; send it again in a moment")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class Breath:
    """Lets the event loop do its other work in between, for at least as long as this work has kept it."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def pause_if_due(self) -> None:
        """Call it after each small step; it pauses about once in SLICE_SECONDS of work."""
        worked = perf_counter() - self._since
        if worked >= SLICE_SECONDS:
            await asyncio.sleep(worked)
            self._since = perf_counter()
