"""Heavy work takes turns, and pauses for the others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TypeVar

from secondlook.common.errors import Busy

SLICE_SECONDS = 0.001
LARGE = 16 * 1024  # bytes: what is larger is read in turn

T = TypeVar("T")


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

    async def run(self, step: Callable[[], T]) -> T:
        """Take a turn for a short step that nothing can interrupt. Before the next turn, others get as much time.

        Raises:
            Busy: too many wait already.
        """
        async with self.turn():
            began = perf_counter()
            try:
                return step()
            finally:
                await asyncio.sleep(perf_counter() - began)


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
