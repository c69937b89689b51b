"""Sends to Kafka the events that services published with their transactions.

Every process of a service runs a relay; together they share the outbox's shards. A shard has one relay at a time, which
sends its parcels in order, with at most one batch under way in each partition. So a key's events reach Kafka in the
order of their commits. After a failure, the relay sends again whatever Kafka did not acknowledge: events can repeat on
the wire, with the same ids.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from secondlook.common.backoff import Backoff
from secondlook.common.bus import BusObserver, Message, outbox
from secondlook.common.bus.kafka_record import available, in_time
from secondlook.common.bus.members import Membership
from secondlook.common.bus.outbox import CHANNEL, SHARDS
from secondlook.common.postgres import TRANSIENT, Database

POLL_SECONDS = 0.2
ROWS = 64  # parcels a shard and round
BATCH_BYTES = 256 * 1024
REQUEST_BYTES = 4 * 1024 * 1024  # a batch of one large event and its frame; brokers take 1 MiB unless told
PATIENCE_SECONDS = 5.0
BACKLOG_SECONDS = 5.0
CLOSE_SECONDS = 5.0

log = structlog.get_logger()


class Relay:
    """One relay. `identify` returns once the topics exist."""

    def __init__(
        self,
        database: Database,
        client: Mapping[str, Any],
        prefix: str,
        identify: Callable[[], Awaitable[str]],
        observer: BusObserver,
    ) -> None:
        self._database, self._client, self._prefix = database, client, prefix
        self._identify, self._observer = identify, observer
        self._membership = Membership(database, f"{database.schema}/relay", CHANNEL)
        self._sent: dict[int, int] = {}  # by shard held: the last id that was sent
        self._producer: AIOKafkaProducer | None = None
        self._partitioner = DefaultPartitioner()
        self._measured_at = 0.0

    async def run(self) -> None:
        """Relay until cancelled. On an error, report it and try again with backoff."""
        backoff = Backoff()
        try:
            while True:
                try:
                    if not await self._round():
                        await self._membership.wait(POLL_SECONDS)
                    self._observer.waiting(None)
                    backoff.reset()
                except TRANSIENT as error:
                    seconds = backoff.wait()
                    log.warning("relay waits", error=repr(error), seconds=round(seconds, 1))
                    self._observer.waiting(f"{type(error).__name__}: {error}")
                    await self._leave()
                    await asyncio.sleep(seconds)
        finally:
            await self._leave()

    async def _round(self) -> bool:
        await self._balance()
        await self._measure()
        self._membership.clear()
        if not self._sent:
            return False
        parcels = await outbox.read(self._database, self._sent, ROWS)
        if not parcels:
            return False
        await self._send([message for parcel in parcels for message in parcel.messages])
        for parcel in parcels:
            self._sent[parcel.shard] = parcel.id
        await outbox.remove(self._database, parcels)
        self._observer.sent(sum(len(parcel.messages) for parcel in parcels))
        return True

    async def _balance(self) -> None:
        if await self._membership.join():
            self._sent.clear()
        if self._membership.due:
            wanted = await self._membership.mine(range(SHARDS))
            for shard in [shard for shard in self._sent if shard not in wanted]:
                del self._sent[shard]
                await self._membership.unlock(str(shard))
            for shard in wanted:
                if shard not in self._sent and await self._membership.lock(str(shard)):
                    self._sent[shard] = 0
            self._membership.balanced()

    async def _measure(self) -> None:
        if time.monotonic() - self._measured_at > BACKLOG_SECONDS:
            self._measured_at = time.monotonic()
            self._observer.backlog(*await outbox.backlog(self._database))

    async def _send(self, messages: Sequence[Message]) -> None:
        """Return once Kafka has acknowledged all messages; each partition gets its own in order."""
        with available("Kafka does not take what was published"):
            producer = await self._connect()
            topics = {message.topic for message in messages}
            partitions = {topic: sorted(await producer.partitions_for(self._prefix + topic)) for topic in topics}
            queues: dict[tuple[str, int], list[Message]] = {}
            for message in messages:
                choice = partitions[message.topic]
                partition = self._partitioner(message.key.encode(), choice, choice)
                queues.setdefault((message.topic, partition), []).append(message)
            await self._all(
                [self._send_queue(producer, topic, partition, queue) for (topic, partition), queue in queues.items()]
            )

    async def _all(self, sendings: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Wait for as long as it takes: an idempotent producer that tries again keeps the order and repeats nothing."""
        pending = {asyncio.create_task(sending) for sending in sendings}
        try:
            while pending:
                done, pending = await asyncio.wait(
                    pending, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
                if not done:
                    self._observer.waiting(f"Kafka has not acknowledged batches for {len(pending)} partitions")
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _send_queue(
        self, producer: AIOKafkaProducer, topic: str, partition: int, queue: Sequence[Message]
    ) -> None:
        start = 0
        while start < len(queue):
            batch = producer.create_batch()
            for message in queue[start:]:
                headers = [(name, value.encode()) for name, value in message.headers.items()]
                key, value = message.key.encode(), message.value
                if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                    break
                start += 1
            if not batch.record_count():
                raise MessageSizeTooLargeError(f"{queue[start].topic} {queue[start].key}")
            batch.close()
            await (await producer.send_batch(batch, self._prefix + topic, partition=partition))

    async def _connect(self) -> AIOKafkaProducer:
        if self._producer is None:
            await self._identify()
            producer = AIOKafkaProducer(
                **self._client, enable_idempotence=True, max_batch_size=BATCH_BYTES, max_request_size=REQUEST_BYTES
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _leave(self) -> None:
        self._membership.close()
        self._sent.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, TimeoutError):
                await in_time(producer.stop(), CLOSE_SECONDS)
