"""A member of a consumer group on the embedded transport.

Members share the partitions by advisory locks (`members.py`) and give one up only when no batch is in work.
Whatever happens to the locks, the epoch of the stored position decides who may write.
"""

import math
import time
from collections.abc import Sequence

from secondlook.common.bus import Batch, Consumer, Record, Span, positions
from secondlook.common.bus.members import Membership
from secondlook.common.bus.positions import HeldPartition
from secondlook.common.errors import PositionLost
from secondlook.common.postgres import Database, Row

LOG = "postgres"

PARTITIONS = "SELECT topic, partition FROM bus.partition WHERE topic = ANY($1) ORDER BY partition, topic"
FETCH = """
SELECT r.topic, r.partition, r."offset", r.key, r.value, r.headers, r.written_at
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS s(topic, partition, start)
CROSS JOIN LATERAL (
    SELECT *, sum(octet_length(next.value)) OVER (ORDER BY next."offset") - octet_length(next.value) AS bytes_before
    FROM (
        SELECT * FROM bus.record r
        WHERE r.topic = s.topic AND r.partition = s.partition AND r."offset" >= s.start
        ORDER BY r."offset" LIMIT $4
    ) AS next
) AS r
WHERE r.bytes_before < $5
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

MAX_SLOT_BYTES = 4 * 1024 * 1024  # of a partition's records in a batch; one record always fits

Slot = tuple[str, int]


class PostgresConsumer(Consumer):
    """See the module."""

    def __init__(self, database: Database, group: str, topics: Sequence[str], poll: float) -> None:
        self._database, self._group, self._topics, self._poll = database, group, list(topics), poll
        self._membership = Membership(database, group, "bus")
        self._held: dict[Slot, HeldPartition] = {}

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        deadline = time.monotonic() + wait
        while True:
            if not await self._balance():
                return None
            self._membership.clear()
            if self._held and (batch := await self._read(max_records)):
                return batch
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            await self._membership.wait(min(self._poll, remaining))

    async def _read(self, max_records: int) -> Batch | None:
        share = math.ceil(max_records / len(self._held))
        starts = [held.read for held in self._held.values()]
        rows = await self._database.pool.fetch(FETCH, *self._slots(), starts, share, MAX_SLOT_BYTES)
        if not rows:
            return None
        records: list[Record] = []
        ends: dict[Slot, int] = {}
        for row in rows:
            slot = (row["topic"], row["partition"])
            expected = ends.get(slot, self._held[slot].read)
            if row["offset"] != expected:
                raise PositionLost(
                    f"{self._group} expected offset {expected} of {slot[0]}[{slot[1]}] and found {row['offset']}"
                )
            ends[slot] = expected + 1
            records.append(to_record(row))
        spans = [Span(*slot, self._held[slot].read, end, self._held[slot].epoch, LOG) for slot, end in ends.items()]
        for slot, end in ends.items():
            self._held[slot].read = end
        return Batch(records, spans)

    def _slots(self) -> tuple[list[str], list[int]]:
        return [topic for topic, _ in self._held], [partition for _, partition in self._held]

    async def done(self, batch: Batch) -> None:
        for span in batch.spans:
            if held := self._held.get((span.topic, span.partition)):
                held.done = span.end
        spans = batch.spans
        await self._database.pool.execute(
            PROGRESS,
            self._group,
            [s.topic for s in spans],
            [s.partition for s in spans],
            [s.end for s in spans],
        )

    async def retry(self, batch: Batch) -> None:
        for span in batch.spans:
            held = self._held.get((span.topic, span.partition))
            if held is not None and held.epoch == span.epoch:
                held.read = min(held.read, span.start)

    async def fenced(self) -> None:
        await self.close()

    async def lag(self) -> int:
        ends = [held.done for held in self._held.values()]
        lag: int = await self._database.pool.fetchval(LAG, *self._slots(), ends)
        return lag

    async def close(self) -> None:
        self._membership.close()
        self._held.clear()

    async def _balance(self) -> bool:
        """Gain and give up partitions; False if one is to be given up that still has records in work."""
        try:
            if await self._membership.join():
                self._held.clear()
            if not self._membership.due:
                return True
            rows = await self._database.pool.fetch(PARTITIONS, self._topics)
            slots = [(row["topic"], row["partition"]) for row in rows]
            wanted = await self._membership.mine(slots)
            leaving = [slot for slot in self._held if slot not in wanted]
            if any(held.read != held.done for held in map(self._held.__getitem__, leaving)):
                return False
            for slot in leaving:
                del self._held[slot]
                await self._membership.unlock(_name(slot))
            for slot in wanted:
                if slot not in self._held and await self._membership.lock(_name(slot)):
                    await self._take(slot)
        except BaseException:
            # A half-made assignment must not outlive the error: leave, and join again with the next fetch.
            await self.close()
            raise
        self._membership.balanced()
        return True

    async def _take(self, slot: Slot) -> None:
        # Under the partition's lock, so that retention knows this group before it removes anything more.
        async with self._database.pool.acquire() as connection, connection.transaction():
            floor = await connection.fetchval(FLOOR, *slot)
            next_offset, epoch = (await positions.take(connection, self._group, LOG, {slot: floor}))[slot]
            await connection.execute(PROGRESS, self._group, [slot[0]], [slot[1]], [next_offset])
        if next_offset < floor:
            raise PositionLost(
                f"{self._group} is at offset {next_offset} of {slot[0]}[{slot[1]}], but records below {floor} "
                "were removed; requeue them from their source, then move the position by hand"
            )
        self._held[slot] = HeldPartition(epoch, next_offset, next_offset)


def _name(slot: Slot) -> str:
    return f"{slot[0]}/{slot[1]}"


def to_record(row: Row) -> Record:
    """The record in a row of bus.record. Whatever a foreign writer put into the headers, they are read as text."""
    found = row["headers"]
    headers = (
        {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    )
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers, row["written_at"])
