"""A member of a Kafka consumer group.

Kafka assigns the partitions; a member resumes each from the position that its service stored with its effects, and the
epoch of that position decides who may write. Rebalancing is eager: before a member joins again, it finishes the batches
that it has in work, for as long as the group waits for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from secondlook.common.bus import Batch, Consumer, Record, Span, positions
from secondlook.common.bus.kafka_partition import NO_LEADER, PartitionReader, Unreadable, ask_each
from secondlook.common.bus.kafka_record import available, in_time, to_record
from secondlook.common.bus.positions import HeldPartition
from secondlook.common.errors import PositionLost
from secondlook.common.postgres import Database
from secondlook.common.settings import CommonSettings

GROUP_PREFIX = "second-look-"
DRAIN_SECONDS = 30.0
START_SECONDS = 30.0
REQUEST_SECONDS = 10.0
PROBE_SECONDS = 3.0
CLOSE_SECONDS = 5.0
COMMIT_SECONDS = 1.0
IDLE_SECONDS = 0.02
RETAKE_SECONDS = 0.5
MISSING_SECONDS = 5.0  # between two tries to take partitions for which no broker answered
SILENT_SECONDS = 30.0

log = structlog.get_logger()


class KafkaConsumer(Consumer, ConsumerRebalanceListener):  # type: ignore[misc]
    """See the module. `identify` gives the name of the log, once its topics exist."""

    def __init__(
        self,
        database: Database,
        client: Mapping[str, Any],
        settings: CommonSettings,
        identify: Callable[[], Awaitable[str]],
        group: str,
        topics: Sequence[str],
        unreadable: Unreadable,
    ) -> None:
        self._database, self._client, self._settings, self._identify = database, client, settings, identify
        self._group, self._prefix = group, settings.kafka_prefix
        self._topics = [self._prefix + topic for topic in topics]
        self._reader = PartitionReader(group, self._prefix, unreadable)
        self._log = ""
        self._consumer: AIOKafkaConsumer | None = None
        self._given: frozenset[TopicPartition] | None = None  # assigned, and not yet taken
        self._held: dict[TopicPartition, HeldPartition] = {}
        self._drained = asyncio.Event()
        self._heard_at = self._committed_at = self._take_at = 0.0
        self._standing: dict[TopicPartition, tuple[int, float]] = {}  # where, and since when
        self._commit: asyncio.Task[None] | None = None

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        try:
            with available(f"consumer group {self._group}"):
                consumer = await self._join()
                if self._given is not None and time.monotonic() >= self._take_at:
                    await self._take(consumer, self._given)
                found = await self._poll(consumer, max_records, wait)
                if not found:
                    await self._probe(consumer)
                    return None
                self._heard_at = time.monotonic()
                return await self._batch(consumer, found)
        except BaseException:
            # aiokafka's coordinator does not survive every error: leave, and join again with the next fetch.
            await self.close()
            raise

    async def _join(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._log = await self._identify()
            session_ms = round(self._settings.kafka_session_seconds * 1000)
            self._consumer = AIOKafkaConsumer(
                **self._client,
                group_id=self._prefix + GROUP_PREFIX + self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=session_ms // 5,
                rebalance_timeout_ms=round((DRAIN_SECONDS + REQUEST_SECONDS) * 1000),
            )
            self._consumer.subscribe(self._topics, listener=self)
            await in_time(self._consumer.start(), START_SECONDS)
            self._heard_at = time.monotonic()
        return self._consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """aiokafka waits for this before it joins the group again, so that batches in work finish first."""
        self._given = None
        self._settle()
        with suppress(TimeoutError):  # then the group continues without us; the epoch keeps us from writing
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drained.wait()
        self._held.clear()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The next fetch takes them, because aiokafka would swallow an error here."""
        self._given, self._take_at = frozenset(assigned), 0.0

    def _settle(self) -> None:
        if any(held.read != held.done for held in self._held.values()):
            self._drained.clear()
        else:
            self._drained.set()

    async def _take(self, consumer: AIOKafkaConsumer, given: frozenset[TopicPartition]) -> None:
        """Take those for which a broker answers; the others are tried again later, and meanwhile nobody waits."""
        patience = RETAKE_SECONDS if self._held else REQUEST_SECONDS / 2
        earliest = await ask_each(consumer.beginning_offsets, given, patience)
        async with self._database.pool.acquire() as connection:
            oldest = {(self._topic(slot), slot.partition): offset for slot, offset in earliest.items()}
            taken = await positions.take(connection, self._group, self._log, oldest) if oldest else {}
        if self._given is not given:
            return  # the group was rebalanced meanwhile
        for slot in earliest:
            next_offset, epoch = taken[self._topic(slot), slot.partition]
            if next_offset < earliest[slot]:
                raise self._lost(slot, next_offset, f"the oldest record left is {earliest[slot]}")
            with suppress(IllegalStateError):  # being revoked right now
                consumer.seek(slot, next_offset)
                self._held[slot] = HeldPartition(epoch, next_offset, next_offset)
        missing = given - earliest.keys()
        self._given, self._take_at = (missing or None), time.monotonic() + MISSING_SECONDS
        self._reader.keep([*self._held, *missing])
        for slot in given:
            self._reader.notice(slot, NO_LEADER if slot in missing else None)
        log.info("partitions", group=self._group, held=sorted(f"{s.topic}/{s.partition}" for s in self._held))

    async def _poll(self, consumer: AIOKafkaConsumer, max_records: int, wait: float) -> dict[TopicPartition, list[Any]]:
        found: dict[TopicPartition, list[Any]] = {}
        # aiokafka waits without end while the group rebalances; our own timeout ends that.
        with suppress(TimeoutError):
            await in_time(self._look(consumer, max_records, wait, found), wait + 0.05)
        return {slot: records for slot, records in found.items() if slot in self._held}

    async def _look(
        self, consumer: AIOKafkaConsumer, max_records: int, wait: float, found: dict[TopicPartition, list[Any]]
    ) -> None:
        """Fill `found` from the partitions held, the one first that was read longest ago."""
        until = time.monotonic() + wait
        while True:
            await self._reader.check(consumer)
            left = max_records
            for slot in list(self._held):
                if left and slot in self._held and (records := await self._reader.read(consumer, slot, left)):
                    found[slot] = records
                    left -= len(records)
                    if slot in self._held:
                        self._held[slot] = self._held.pop(slot)
            if found or time.monotonic() >= until:
                return
            await asyncio.sleep(IDLE_SECONDS)

    async def _batch(self, consumer: AIOKafkaConsumer, found: Mapping[TopicPartition, list[Any]]) -> Batch:
        records: list[Record] = []
        spans: list[Span] = []
        for slot, read in found.items():
            held = self._held[slot]
            if read[0].offset != held.read:
                await self._check_gap(consumer, slot, held.read, read[0].offset)
            end = read[-1].offset + 1
            spans.append(Span(self._topic(slot), slot.partition, held.read, end, held.epoch, self._log))
            records.extend(to_record(record, self._log, self._prefix) for record in read)
        for span in spans:
            self._held[self._slot(span)].read = span.end
        self._settle()
        return Batch(records, spans)

    async def _check_gap(self, consumer: AIOKafkaConsumer, slot: TopicPartition, expected: int, offset: int) -> None:
        """Accept the gaps that a transactional producer's markers leave, and no others: those are unread records."""
        earliest = (await in_time(consumer.beginning_offsets([slot]), REQUEST_SECONDS))[slot]
        if offset < expected or earliest > expected:
            raise self._lost(slot, expected, f"the next record there is {offset}, the oldest {earliest}")

    def _topic(self, slot: TopicPartition) -> str:
        return str(slot.topic).removeprefix(self._prefix)

    def _slot(self, span: Span) -> TopicPartition:
        return TopicPartition(self._prefix + span.topic, span.partition)

    def _lost(self, slot: TopicPartition, expected: int, found: str) -> PositionLost:
        return PositionLost(
            f"{self._group} is at offset {expected} of {slot.topic}[{slot.partition}], but {found}: records were "
            "removed unread, or the topic was made anew; see docs/kafka.md, 'A position that is lost'"
        )

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        """Silence means that there is nothing to read, or no broker: ask now and then which."""
        if time.monotonic() - self._heard_at > PROBE_SECONDS:
            held = list(self._held) or [TopicPartition(self._topics[0], 0)]
            try:
                await ask_each(consumer.end_offsets, held[-1:], PROBE_SECONDS)  # it was read last
            except (KafkaError, TimeoutError):
                await ask_each(consumer.end_offsets, held, PROBE_SECONDS)
            self._heard_at = time.monotonic()

    async def done(self, batch: Batch) -> None:
        for span in batch.spans:
            held = self._held.get(self._slot(span))
            if held is not None and held.epoch == span.epoch:
                held.done = span.end
        self._settle()
        if time.monotonic() - self._committed_at > COMMIT_SECONDS and (self._commit is None or self._commit.done()):
            self._committed_at = time.monotonic()
            self._commit = asyncio.create_task(self._tell_kafka())

    async def _tell_kafka(self) -> None:
        """Commit the group's offsets, for lag tools. Nothing depends on them, so a failure is ignored."""
        consumer, offsets = self._consumer, {slot: held.done for slot, held in self._held.items()}
        with suppress(KafkaError, TimeoutError):
            if consumer is not None and offsets:
                await in_time(consumer.commit(offsets), REQUEST_SECONDS)

    async def retry(self, batch: Batch) -> None:
        for span in batch.spans:
            slot = self._slot(span)
            held = self._held.get(slot)
            if held is not None and held.epoch == span.epoch and self._consumer is not None:
                held.read = min(held.read, span.start)
                with suppress(IllegalStateError):
                    self._consumer.seek(slot, held.read)
        self._settle()

    async def fenced(self) -> None:
        await self.close()

    async def lag(self) -> int:
        if self._consumer is None or not self._held:
            return 0
        with available(f"lag of {self._group}"):
            slots = list(self._held)
            ends = await ask_each(self._consumer.end_offsets, slots, PROBE_SECONDS)
            for slot in slots:
                self._reader.notice(slot, await self._silence(slot, ends[slot]) if slot in ends else NO_LEADER)
        return sum(max(0, ends[slot] - held.done) for slot, held in self._held.items() if slot in ends)

    async def _silence(self, slot: TopicPartition, end: int) -> str | None:
        """Set if nothing comes where something is: a broker's errors about its own log are only logged by aiokafka."""
        held, consumer, now = self._held.get(slot), self._consumer, time.monotonic()
        if held is None or consumer is None or held.read != held.done:
            return None
        at = await in_time(consumer.position(slot), PROBE_SECONDS)
        before, since = self._standing.get(slot, (-1, now))
        if at >= end or at != before:
            since = now
        self._standing[slot] = at, since
        silent = f"Kafka gives nothing at offset {at}, though it ends at {end}: see the brokers' logs"
        return silent if now - since > SILENT_SECONDS else None

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        commit, self._commit = self._commit, None
        self._held.clear()
        self._reader.keep(())
        self._given = None
        self._drained.set()  # stop() waits for the listener
        if commit is not None:
            commit.cancel()
        if consumer is not None:
            with suppress(KafkaError, TimeoutError):
                await in_time(consumer.stop(), CLOSE_SECONDS)
