"""Reads the partitions of one aiokafka consumer, each by itself.

A batch that cannot be read (a codec whose library is missing, a broken checksum) stops its own partition, at its own
offset. Nothing is passed over: the reader tries again now and then, and reads on from there once it can.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition, codec
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from secondlook.common.backoff import Backoff
from secondlook.common.bus import BusObserver
from secondlook.common.bus.kafka_record import in_time
from secondlook.common.errors import BusUnavailable

FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0  # between two tries of a partition that cannot be read
PATIENCE_SECONDS, POLL_MS = 10.0, 1_000
MANUAL = "see docs/kafka.md, 'A partition that cannot be read'"
NO_LEADER = "no broker answers for it: start the brokers that hold its replicas"
INSTALL = "pip install 'second-look[kafka]'"
_OF_A_PARTITION = (
    CorruptRecordException, RecordTooLargeError, TopicAuthorizationFailedError, UnsupportedCodecError,
)  # fmt: skip
CODECS = ("gzip", "snappy", "lz4", "zstd")
_NONE = TopicPartition("", -1)

log = structlog.get_logger()


def missing_codecs() -> list[str]:
    """The codecs that a producer may use and that cannot be read here."""
    return [name for name in CODECS if not getattr(codec, f"has_{name}")()]


def explained(error: Exception) -> str:
    """Why a batch cannot be read, and what to do."""
    why = str(error) or type(error).__name__
    if isinstance(error, UnsupportedCodecError):
        here = ", ".join(name for name in CODECS if name not in missing_codecs())
        return f"{why}: {INSTALL}; without it, only none, {here} can be read"
    if isinstance(error, TopicAuthorizationFailedError):
        return "reading it is not allowed: grant the Kafka user Read on the topic"
    kind = "" if isinstance(error, KafkaError) else f"{type(error).__name__}: "
    return f"the batch is corrupt ({kind}{why}): {MANUAL}"


@dataclass(slots=True)
class Unreadable:
    """What a process cannot read now: reasons by the name of the partition and its reader."""

    observer: BusObserver | None = None
    _reasons: dict[str, str] = field(default_factory=dict)

    def report_to(self, observer: BusObserver) -> None:
        """Tell `observer` what there is, and from now on each change."""
        self.observer = observer
        observer.unreadable(dict(self._reasons))

    def set(self, name: str, reason: str | None) -> None:
        """The partition cannot be read, or can (None)."""
        before = self._reasons.get(name)
        if reason is None:
            self._reasons.pop(name, None)
        else:
            self._reasons[name] = reason
        if self.observer is not None and before != reason:
            self.observer.unreadable(dict(self._reasons))


@dataclass(slots=True)
class _Trouble:
    """A partition that raised. `until`: left alone until then."""

    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_SECONDS, MOST_SECONDS))
    until: float = 0.0


class PartitionReader:
    """Reads for `who`, and reports what it cannot read. `prefix` begins the names of topics in Kafka."""

    def __init__(self, who: str, prefix: str, unreadable: Unreadable) -> None:
        self._who, self._prefix, self._unreadable = who, prefix, unreadable
        self._troubles: dict[TopicPartition, _Trouble] = {}
        self._reported: set[TopicPartition] = set()

    async def check(self, consumer: AIOKafkaConsumer) -> None:
        """Raise the consumer's own errors, those of no partition: without this, `read` would take them for one."""
        await consumer.getmany(_NONE, timeout_ms=0)

    async def read(self, consumer: AIOKafkaConsumer, slot: TopicPartition, most: int) -> list[Any]:
        """The next records that were fetched, at most so many; none if the next one cannot be read.

        Raises:
            KafkaError: an error that does not concern this partition alone.
        """
        trouble = self._troubles.get(slot)
        if trouble is None:
            try:
                return list((await consumer.getmany(slot, timeout_ms=0, max_records=most)).get(slot, ()))
            except Exception as error:
                await _keep_place(consumer, slot, error)
                self._troubles[slot] = _Trouble()
                return []  # aiokafka forgot what it read before the error, and fetches it again
        if time.monotonic() < trouble.until:
            return []
        found: list[Any] = []
        try:  # one by one, so that what stands before the unreadable batch is not lost to its error
            while len(found) < most:
                read = (await consumer.getmany(slot, timeout_ms=0, max_records=1)).get(slot)
                if not read:
                    break
                found += read
        except Exception as error:
            await _keep_place(consumer, slot, error)
            if not found:
                await self._leave_alone(consumer, slot, trouble, error)
            return found
        if found:
            self._forget(slot)
        return found

    async def _leave_alone(
        self, consumer: AIOKafkaConsumer, slot: TopicPartition, trouble: _Trouble, error: Exception
    ) -> None:
        trouble.until = time.monotonic() + trouble.backoff.wait()
        self._report(slot, f"at offset {await consumer.position(slot)}: {explained(error)}")

    def keep(self, slots: Collection[TopicPartition]) -> None:
        """Forget all partitions but these: others are read by another member now."""
        for slot in (self._troubles.keys() | self._reported) - set(slots):
            self._forget(slot)

    def _forget(self, slot: TopicPartition) -> None:
        self._troubles.pop(slot, None)
        self._report(slot, None)

    def notice(self, slot: TopicPartition, reason: str | None) -> None:
        """What else keeps the partition from being read, or None; a batch that cannot be read comes first."""
        if slot not in self._troubles:
            self._report(slot, reason)

    def _report(self, slot: TopicPartition, reason: str | None) -> None:
        name = f"{slot.topic.removeprefix(self._prefix)}[{slot.partition}] for {self._who}"
        if reason is None and slot in self._reported:
            self._reported.remove(slot)
            log.info("reading again", partition=name)
        elif reason is not None and slot not in self._reported:
            self._reported.add(slot)
            log.error("cannot read a partition; the others go on", partition=name, reason=reason)
        self._unreadable.set(name, reason)


async def _keep_place(consumer: AIOKafkaConsumer, slot: TopicPartition, error: Exception) -> None:
    """Stand before what cannot be read. Raises `error` if it is about the connection or the group.

    What is no KafkaError comes from decoding.
    """
    if isinstance(error, KafkaError) and not isinstance(error, _OF_A_PARTITION):
        raise error
    if isinstance(error, RecordTooLargeError):  # aiokafka has passed it over
        consumer.seek(slot, await consumer.position(slot) - 1)


Ask = Callable[[list[TopicPartition]], Coroutine[Any, Any, dict[TopicPartition, int]]]


async def ask_each(ask: Ask, slots: Collection[TopicPartition], seconds: float) -> dict[TopicPartition, int]:
    """Offsets of the partitions for which a broker answers within `seconds`, each asked by itself.

    Raises:
        KafkaError, TimeoutError: none answers for any.
    """
    answers = await asyncio.gather(*(in_time(ask([slot]), seconds) for slot in slots), return_exceptions=True)
    found: dict[TopicPartition, int] = {}
    failures: list[BaseException] = []
    for answer in answers:
        if isinstance(answer, dict):
            found |= answer
        elif isinstance(answer, KafkaError | TimeoutError):
            failures.append(answer)
        else:
            raise answer
    if failures and not found:
        raise failures[0]
    return found


async def last_records(consumer: AIOKafkaConsumer, slot: TopicPartition, offsets: range, records: int) -> list[Any]:
    """The last records with these offsets, in their order. Where offsets have gaps, it looks further back.

    Raises:
        TimeoutError: the broker fell silent.
        BusUnavailable: a batch of them cannot be read.
    """
    found: list[Any] = []
    stop = offsets.stop
    while stop > offsets.start and len(found) < records:
        start = max(offsets.start, stop - records)
        window: list[Any] = []
        consumer.seek(slot, start)
        async with asyncio.timeout(PATIENCE_SECONDS) as patience:
            while await consumer.position(slot) < stop:
                read = await _window(consumer, slot)
                window += [record for record in read if record.offset < stop]
                if read:
                    patience.reschedule(asyncio.get_running_loop().time() + PATIENCE_SECONDS)
        found, stop = (window + found)[-records:], start
    return found


async def _window(consumer: AIOKafkaConsumer, slot: TopicPartition) -> list[Any]:
    try:
        return list((await consumer.getmany(slot, timeout_ms=POLL_MS)).get(slot, ()))
    except Exception as error:
        await _keep_place(consumer, slot, error)
        raise BusUnavailable(f"partition {slot.partition}: {explained(error)}") from error
