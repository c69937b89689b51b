"""One Postgres transaction that holds the effects, the new read position and the events to publish.

Whatever reads from the bus or publishes writes through it, so events become visible with the effects or not at all.
Writes that do neither, such as API keys and the state of a training run, use the pool.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from secondlook.common.bus import DEAD_LETTER_SUFFIX, Batch, Bus, Message, Record, positions
from secondlook.common.bus.wire import MAX_MESSAGE_BYTES, encode, size_of
from secondlook.common.clock import Clock
from secondlook.common.contract.events import Event
from secondlook.common.errors import InvalidInput
from secondlook.common.postgres import Connection, Database

log = structlog.get_logger()

KEEP_DEAD_LETTER = """
INSERT INTO dead_letter (topic, partition, "offset", key, value, headers, reason, detail, failed_at, log)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


@dataclass(slots=True)
class UnitOfWork:
    """An open transaction. `connection` runs the service's statements; `dead_letters` counts the records set aside."""

    connection: Connection
    source: str
    clock: Clock
    messages: list[Message] = field(default_factory=list)
    dead_letters: int = 0

    def publish(self, event: Event, traceparent: str | None = None) -> None:
        """Publish an event with this transaction."""
        self.messages.append(encode(event, self.source, self.clock, traceparent))

    def forward(self, message: Message) -> None:
        """Publish a message as it is."""
        self.messages.append(message)

    async def dead_letter(self, record: Record, problem: InvalidInput) -> None:
        """Set a record aside with the reason. Its partition continues; people can list and requeue it."""
        log.info("dead letter", topic=record.topic, key=record.key[:200], reason=problem.reason, detail=str(problem))
        key, detail = _storable(record.key), _storable(str(problem)[:2000])
        headers = {_storable(name): _storable(value) for name, value in record.headers.items()}
        await self.connection.execute(
            KEEP_DEAD_LETTER,
            record.topic, record.partition, record.offset, key, record.value,
            headers, problem.reason, detail, self.clock.now(), record.log,
        )  # fmt: skip
        self.dead_letters += 1
        why = {
            "reason": problem.reason,
            "detail": detail,
            "origin": f"{record.log}/{record.topic}/{record.partition}/{record.offset}",
        }
        topic = record.topic + DEAD_LETTER_SUFFIX
        whole = Message(topic, key, record.value, {**headers, **why})
        # No broker takes what is too large, and the relay would try for ever; the row above holds all of it.
        self.forward(whole if size_of(whole) <= MAX_MESSAGE_BYTES else Message(topic, key[:200], b"", why))


def _storable(text: str) -> str:
    """Drop what PostgreSQL cannot store: a dead letter that cannot be written would stop its partition."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Transactions:
    """Makes units of work for one service. `source` is the service's name in the events it publishes."""

    database: Database
    bus: Bus
    clock: Clock
    source: str

    @asynccontextmanager
    async def begin(self, group: str = "", batch: Batch | None = None) -> AsyncIterator[UnitOfWork]:
        """A transaction; with a batch it also advances the group's position, and raises Fenced if it may not."""
        async with self.database.pool.acquire() as connection, connection.transaction():
            if batch is not None:
                await positions.advance(connection, group, batch.spans)
            work = UnitOfWork(connection, self.source, self.clock)
            yield work
            await self.bus.publish(connection, work.messages)
