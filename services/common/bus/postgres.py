"""The embedded transport: the log is a table of the same database, so publishing is an insert in the transaction."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from pydantic_core import to_json

from secondlook.common.backoff import Backoff
from secondlook.common.bus import Bus, BusObserver, Consumer, Message, Record, Topic
from secondlook.common.bus.postgres_consumer import PostgresConsumer, to_record
from secondlook.common.clock import Clock, SystemClock
from secondlook.common.errors import BusUnavailable
from secondlook.common.postgres import TRANSIENT, Connection, Database

POLL_SECONDS = 0.2
RETENTION_SECONDS = 600.0

CREATE = """
INSERT INTO bus.partition (topic, partition, compacted)
SELECT $1, number, $3 FROM generate_series(0, $2::int - 1) AS number
WHERE NOT EXISTS (SELECT 1 FROM bus.partition WHERE topic = $1)
ON CONFLICT DO NOTHING
"""
PARTITIONS = "SELECT topic, count(*)::int AS partitions FROM bus.partition GROUP BY topic"
APPEND = "SELECT bus.append($1::text[], $2::int[], $3::text[], $4::bytea[], $5::text[]::jsonb[])"
REMOVE = "SELECT bus.remove_before($1)"
NEWEST = """
SELECT DISTINCT ON (key) topic, partition, "offset", key, value, headers, written_at
FROM bus.record WHERE topic = $1 ORDER BY key, "offset" DESC
"""
ENDS = "SELECT partition, next_offset FROM bus.partition WHERE topic = $1"
SINCE = """
SELECT r.topic, r.partition, r."offset", r.key, r.value, r.headers, r.written_at
FROM unnest($2::int[], $3::bigint[]) AS s(partition, start)
JOIN bus.record r ON r.topic = $1 AND r.partition = s.partition AND r."offset" >= s.start
ORDER BY r.partition, r."offset"
"""
TAIL = """
SELECT r.topic, r.partition, r."offset", r.key, r.value, r.headers, r.written_at
FROM bus.partition p CROSS JOIN LATERAL (
    SELECT * FROM bus.record r WHERE r.topic = p.topic AND r.partition = p.partition
    ORDER BY r."offset" DESC LIMIT $2
) AS r
WHERE p.topic = $1 ORDER BY r.written_at DESC, r.partition DESC, r."offset" DESC LIMIT $2
"""

log = structlog.get_logger()


class PostgresBus(Bus):
    """Bus on PostgreSQL. All processes share one database; they poll, and a NOTIFY only shortens the wait."""

    def __init__(self, database: Database, keep: timedelta = timedelta(days=7)) -> None:
        self._database, self._keep = database, keep
        self._partitions: dict[str, int] = {}

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            await self._database.pool.execute(CREATE, topic.name, topic.partitions, topic.compacted)

    async def run(self, observer: BusObserver) -> None:
        backoff = Backoff(RETENTION_SECONDS, RETENTION_SECONDS)
        while True:
            wait = RETENTION_SECONDS
            try:
                await self.trim(self._keep, SystemClock())
                observer.waiting(None)
            except TRANSIENT as error:
                wait = backoff.wait()
                observer.waiting(f"{type(error).__name__}: {error}")
            await asyncio.sleep(wait)

    async def publish(self, connection: Connection, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if not all(message.topic in self._partitions for message in messages):
            self._partitions = {r["topic"]: r["partitions"] for r in await connection.fetch(PARTITIONS)}
        await connection.execute(
            APPEND,
            [message.topic for message in messages],
            [self._partition(message) for message in messages],
            [message.key for message in messages],
            [message.value for message in messages],
            [to_json(message.headers).decode() for message in messages],
        )

    def _partition(self, message: Message) -> int:
        # An unknown topic goes to partition 0, which append() refuses by name.
        return zlib.crc32(message.key.encode()) % self._partitions.get(message.topic, 1)

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        return PostgresConsumer(self._database, group, topics, POLL_SECONDS)

    async def follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        ends: dict[int, int] | None = None
        backoff = Backoff(POLL_SECONDS)
        while True:
            wait = POLL_SECONDS
            try:
                if ends is None:
                    # The ends first: a record written between the two queries is applied twice instead of never.
                    found = await self._database.pool.fetch(ENDS, topic)
                    newest = await self._database.pool.fetch(NEWEST, topic)
                    ends = {row["partition"]: row["next_offset"] for row in found}
                    for row in sorted(newest, key=lambda r: r["offset"]):
                        await apply(to_record(row))
                    ready()
                for row in await self._database.pool.fetch(SINCE, topic, list(ends), list(ends.values())):
                    await apply(to_record(row))
                    ends[row["partition"]] = row["offset"] + 1
            except TRANSIENT as error:
                wait = backoff.wait()
                log.warning("waiting", topic=topic, error=repr(error), seconds=round(wait, 1))
            else:
                backoff.reset()
            await asyncio.sleep(wait)

    async def tail(self, topic: str, records: int) -> list[Record]:
        try:
            rows = await self._database.pool.fetch(TAIL, topic, records)
        except TRANSIENT as error:
            raise BusUnavailable(f"topic {topic}: {str(error) or type(error).__name__}") from error
        return [to_record(row) for row in reversed(rows)]

    async def trim(self, keep: timedelta, clock: Clock) -> int:
        """Remove records older than `keep` that every group has read; returns how many."""
        removed: int = await self._database.pool.fetchval(REMOVE, clock.now() - keep)
        return removed
