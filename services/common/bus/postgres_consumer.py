"""A member of a consumer group on the embedded transport.

Membership and ownership are session advisory locks, so they end with the process. Live members, in the order of their
ids, share the partitions out; a partition is given up only between batches. Whatever goes wrong with the locks, the
epoch of the stored position decides who may write.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.common import positions
from services.common.bus import Batch, Consumer, Record, Span
from services.common.bus.postgres_record import to_record
from services.common.errors import PositionLost
from services.common.postgres import Database

BALANCE_SECONDS = 1.0

JOIN = "SELECT pg_advisory_lock(hashtext($1), $2)"
MEMBERS = """
SELECT objid::bigint AS member FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2
  AND classid = (hashtext($1)::bigint & 4294967295)::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY objid
"""
PARTITIONS = "SELECT topic, partition FROM bus.partition WHERE topic = ANY($1) ORDER BY partition, topic"
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"
FETCH = """
SELECT r.topic, r.partition, r."offset", r.key, r.value, r.headers, r.written_at
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS s(topic, partition, start)
CROSS JOIN LATERAL (
    SELECT * FROM bus.record r
    WHERE r.topic = s.topic AND r.partition = s.partition AND r."offset" >= s.start
    ORDER BY r."offset" LIMIT $4
) AS r
ORDER BY r.topic, r.partition, r."offset"
"""
FLOOR = "SELECT floor FROM bus.partition WHERE topic = $1 AND partition = $2 FOR UPDATE"
PROGRESS = """
INSERT INTO bus.progress (consumer_group, topic, partition, next_offset)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""
LAG = """
SELECT coalesce(sum(p.next_offset - s.start), 0)::bigint
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS s(topic, partition, start)
JOIN bus.partition p ON p.topic = s.topic AND p.partition = s.partition
"""

Slot = tuple[str, int]


@dataclass(slots=True)
class _Held:
    next_offset: int
    epoch: int


class PostgresConsumer(Consumer):
    """See the module. One connection is kept for the locks and for LISTEN."""

    def __init__(self, database: Database, group: str, topics: Sequence[str], poll: float) -> None:
        self._database, self._group, self._topics, self._poll = database, group, list(topics), poll
        self._member = secrets.randbits(31)
        self._session: Any = None
        self._held: dict[Slot, _Held] = {}
        self._balanced_at = -math.inf
        self._wake = asyncio.Event()

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        deadline = time.monotonic() + wait
        while True:
            await self._balance()
            self._wake.clear()
            if self._held and (batch := await self._read(max_records)):
                return batch
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            # Not wait_for: before Python 3.12 it loses a cancellation that arrives together with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self._poll, remaining)):
                    await self._wake.wait()

    async def _read(self, max_records: int) -> Batch | None:
        share = math.ceil(max_records / len(self._held))
        rows = await self._database.pool.fetch(FETCH, *self._positions(), share)
        if not rows:
            return None
        records: list[Record] = []
        ends: dict[Slot, int] = {}
        for row in rows:
            slot = (row["topic"], row["partition"])
            expected = ends.get(slot, self._held[slot].next_offset)
            if row["offset"] != expected:
                raise PositionLost(
                    f"{self._group} expected offset {expected} of {slot[0]}[{slot[1]}] and found {row['offset']}"
                )
            ends[slot] = expected + 1
            records.append(to_record(row))
        spans = [Span(*slot, self._held[slot].next_offset, end, self._held[slot].epoch) for slot, end in ends.items()]
        return Batch(records, spans)

    def _positions(self) -> tuple[list[str], list[int], list[int]]:
        return (
            [topic for topic, _ in self._held],
            [partition for _, partition in self._held],
            [held.next_offset for held in self._held.values()],
        )

    async def done(self, batch: Batch) -> None:
        for span in batch.spans:
            self._held[span.topic, span.partition].next_offset = span.end
        spans = batch.spans
        await self._database.pool.execute(
            PROGRESS,
            self._group,
            [s.topic for s in spans],
            [s.partition for s in spans],
            [s.end for s in spans],
        )

    async def retry(self, batch: Batch) -> None:
        """Nothing to do: positions move in `done` alone."""

    async def fenced(self) -> None:
        await self.close()

    async def lag(self) -> int:
        lag: int = await self._database.pool.fetchval(LAG, *self._positions())
        return lag

    async def close(self) -> None:
        session, self._session = self._session, None
        self._held.clear()
        self._balanced_at = -math.inf
        if session is not None:
            # Ending the session gives up its locks, also when the server no longer answers.
            session.terminate()

    async def _balance(self) -> None:
        if self._session is not None and self._session.is_closed():
            await self.close()
        if time.monotonic() - self._balanced_at < BALANCE_SECONDS:
            return
        try:
            await self._join()
            wanted = await self._wanted()
            for slot in [slot for slot in self._held if slot not in wanted]:
                del self._held[slot]
                await self._session.execute(UNLOCK, self._lock_name(slot))
            for slot in [slot for slot in wanted if slot not in self._held]:
                if await self._session.fetchval(TRY_LOCK, self._lock_name(slot)):
                    await self._take(slot)
        except BaseException:
            # A half-made assignment must not outlive the error: leave, and join anew with the next fetch.
            await self.close()
            raise
        self._balanced_at = time.monotonic()

    async def _join(self) -> None:
        if self._session is None:
            self._session = await self._database.connect()
            await self._session.add_listener("bus", lambda *_: self._wake.set())
            await self._session.execute(JOIN, self._group, self._member)

    async def _wanted(self) -> list[Slot]:
        members = [row["member"] for row in await self._session.fetch(MEMBERS, self._group)]
        slots = [(row["topic"], row["partition"]) for row in await self._session.fetch(PARTITIONS, self._topics)]
        rank = members.index(self._member)
        return slots[rank :: len(members)]

    async def _take(self, slot: Slot) -> None:
        # Under the partition's lock, so that retention knows this group before it removes anything more.
        async with self._session.transaction():
            floor = await self._session.fetchval(FLOOR, *slot)
            next_offset, epoch = await positions.take(self._session, self._group, *slot, earliest=floor)
            await self._session.execute(PROGRESS, self._group, [slot[0]], [slot[1]], [next_offset])
        if next_offset < floor:
            raise PositionLost(
                f"{self._group} is at offset {next_offset} of {slot[0]}[{slot[1]}], but records below {floor} "
                "were removed; requeue them from their source, then move the position by hand"
            )
        self._held[slot] = _Held(next_offset, epoch)

    def _lock_name(self, slot: Slot) -> str:
        return f"{self._group}/{slot[0]}/{slot[1]}"
