"""A bus whose state topics carry signatures: whatever is published there is signed, and only that is handed on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from secondlook.common.bus import Bus, BusObserver, Consumer, Message, Record, Topic
from secondlook.common.bus.signatures.keyring import Authenticity, Keyring
from secondlook.common.bus.topics import STATE_KEYS, STATE_TOPICS
from secondlook.common.postgres import Connection

# So long a reader that starts waits for a genuine record, where the newest one is refused: the owner publishes again.
AGAIN_SECONDS = 60.0
REPLAYED = "replayed"
UNPROTECTED = (
    "policies and bundles are not signed: whoever can write to the bus can put one in force; "
    "set SECONDLOOK_SIGNING_KEY for all services and commands"
)

log = structlog.get_logger()


class SignedBus:
    """Implements `Bus` over another one. Without a key it signs nothing, accepts everything, and says so.

    A record that is refused is logged and counted, and reaches nobody: whatever was in force stays.
    """

    def __init__(self, bus: Bus, keys: Keyring) -> None:
        self._bus, self._keys = bus, keys
        self._observer: BusObserver | None = None
        self._untold: list[tuple[str, str]] = []

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        await self._bus.ensure_topics(topics)

    async def run(self, observer: BusObserver) -> None:
        self._observer = observer
        observer.signatures(bool(self._keys))
        if not self._keys:
            log.warning(UNPROTECTED)
        for topic, reason in self._untold:
            observer.refused(topic, reason)
        self._untold.clear()
        await self._bus.run(observer)

    async def publish(self, connection: Connection, messages: Sequence[Message]) -> None:
        signed = [self._keys.sign(message) if message.topic in STATE_TOPICS else message for message in messages]
        await self._bus.publish(connection, signed)

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        return self._bus.consumer(group, topics)

    async def follow(
        self,
        topic: str,
        apply: Callable[[Record], Awaitable[None]],
        ready: Callable[[], None],
        behind: Callable[[Record], bool] = lambda record: False,
    ) -> None:
        """As `Bus.follow`, of the records that are genuine, and not `behind` a later one that was seen before.

        Where the newest record of a key is refused at the start, `ready` is called once a genuine one has come, or
        after `AGAIN_SECONDS`.
        """
        missing, caught_up, told = set[str](), False, False
        giving_up: asyncio.TimerHandle | None = None

        def tell() -> None:
            nonlocal told
            if not told:
                told = True
                ready()

        async def take(record: Record, authenticity: Authenticity) -> None:
            if not authenticity.accepted or behind(record):
                self._refuse(record, REPLAYED if authenticity.accepted else authenticity.value)
                if not caught_up and record.key in STATE_KEYS.get(topic, ()):
                    missing.add(record.key)
                return
            await apply(record)
            missing.discard(record.key)
            if caught_up and not missing:
                tell()

        def all_read() -> None:
            nonlocal caught_up, giving_up
            caught_up = True
            if not missing:
                tell()
                return
            log.warning("waiting for genuine records", topic=topic, keys=sorted(missing)[:10], seconds=AGAIN_SECONDS)
            giving_up = asyncio.get_running_loop().call_later(AGAIN_SECONDS, tell)

        try:
            await self.watch(topic, take, all_read)
        finally:
            if giving_up is not None:
                giving_up.cancel()

    async def watch(
        self, topic: str, see: Callable[[Record, Authenticity], Awaitable[None]], ready: Callable[[], None]
    ) -> None:
        """As `Bus.follow`, of all records, each with what its signature says. Refusals are for the caller to act on."""
        keys = self._keys if topic in STATE_TOPICS else Keyring()
        await self._bus.follow(topic, lambda record: see(record, keys.check(record)), ready)

    async def tail(self, topic: str, records: int) -> list[Record]:
        """As `Bus.tail`; of a state topic the genuine ones among them."""
        found = await self._bus.tail(topic, records)
        return [r for r in found if topic not in STATE_TOPICS or self._keys.check(r).accepted]

    def _refuse(self, record: Record, reason: str) -> None:
        told = {"key": record.key[:200], "offset": record.offset, "reason": reason}
        log.error("record refused", topic=record.topic, **told)
        if self._observer is None:
            self._untold.append((record.topic, reason))
        else:
            self._observer.refused(record.topic, reason)
