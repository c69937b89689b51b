"""Keeps a state topic equal to what its owner's database says is in force.

The newest record of a key is what a reader finds when it starts. Where that is unsigned, forged, signed with a key that
is being replaced, or an old record that somebody sent again, the owner publishes what is in force once more.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import structlog

from secondlook.common.backoff import Backoff
from secondlook.common.bus import Record
from secondlook.common.bus.signatures.keyring import Authenticity
from secondlook.common.bus.signatures.signed_bus import SignedBus
from secondlook.common.bus.topics import STATE_KEYS
from secondlook.common.postgres import TRANSIENT

# Between two publications; it grows while they do not help, as between two owners with different keys.
FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0

log = structlog.get_logger()


class Seen(NamedTuple):
    """A record and what its signature says."""

    record: Record
    authenticity: Authenticity


# Publishes what the newest record of each key should be and is not; whether it had to publish anything.
Agree = Callable[[Mapping[str, Seen]], Awaitable[bool]]


class Keeper:
    """Follows a topic that this service owns. Safe to run in several processes: what they publish is the same."""

    def __init__(self, bus: SignedBus, topic: str, agree: Agree) -> None:
        self._bus, self._topic, self._agree = bus, topic, agree
        self._newest: dict[str, Seen] = {}
        self._changed, self._caught_up = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        following = asyncio.create_task(self._bus.watch(self._topic, self._see, self._caught_up.set))
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.wait([following, keeping], return_when=asyncio.FIRST_COMPLETED)
            for task in (following, keeping):
                if task.done():
                    task.result()
        finally:
            for task in (following, keeping):
                task.cancel()
            await asyncio.gather(following, keeping, return_exceptions=True)

    async def _see(self, record: Record, authenticity: Authenticity) -> None:
        if record.key in STATE_KEYS[self._topic]:  # no other one puts anything in force
            self._newest[record.key] = Seen(record, authenticity)
            self._changed.set()

    async def _keep(self) -> None:
        await self._caught_up.wait()
        backoff, last = Backoff(FIRST_SECONDS, MOST_SECONDS), -math.inf
        while True:
            self._changed.clear()
            try:
                published = await self._agree(dict(self._newest))
            except TRANSIENT as error:
                log.warning("will try again", topic=self._topic, error=repr(error))
                await asyncio.sleep(backoff.wait())
                continue
            if published:
                log.warning("published again what is in force", topic=self._topic)
                if time.monotonic() - last > 2 * MOST_SECONDS:
                    backoff.reset()
                last = time.monotonic()
                await asyncio.sleep(backoff.wait())
            await self._changed.wait()
