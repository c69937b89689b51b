"""The floors that bench.router measures the router against: the same records, read, stored and answered, no more.

Each reads a batch, copies it into a plain table, and puts as many messages of a decision's size on the log.
"""

import time

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.router_world import PARTITIONS, SLOTS
from secondlook.common.bus import Message
from secondlook.common.bus.postgres import APPEND
from secondlook.common.bus.postgres_consumer import FETCH
from secondlook.common.contract.events import ContentDecided, ContentSubmitted

TABLE = 'CREATE TABLE public.floor (partition int, "offset" bigint, key text, value bytea)'
COLUMNS = ["partition", "offset", "key", "value"]


class Meter:
    """Items a second once a share of `skip` is done."""

    def __init__(self, total: int, skip: float) -> None:
        self._total, self._skip, self._done, self._from = total, skip * total, 0, (0.0, 0)

    def add(self, items: int) -> bool:
        """Whether there is more to do."""
        self._done += items
        if not self._from[1] and self._done >= self._skip:
            self._from = time.monotonic(), self._done
        return self._done < self._total

    @property
    def rate(self) -> float:
        since, already = self._from
        return (self._done - already) / (time.monotonic() - since)


async def kafka_floor(url: str, bootstrap: str, total: int, answer: Message, *, batch: int, skip: float) -> float:
    """getmany, one COPY, commit, produce (idempotent, acks=all, a batch a partition), and again."""
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    meter, headers = Meter(total, skip), [(name, value.encode()) for name, value in answer.headers.items()]
    async with (
        AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer,
        AIOKafkaProducer(
            bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=1024 * 1024, max_request_size=2**22
        ) as producer,
    ):
        inputs = [TopicPartition(ContentSubmitted.topic, number) for number in range(PARTITIONS)]
        consumer.assign(inputs)
        await consumer.seek_to_beginning(*inputs)
        more = True
        while more:
            found = await consumer.getmany(timeout_ms=1000, max_records=batch)
            rows = [(r.partition, r.offset, r.key.decode(), r.value) for records in found.values() for r in records]
            async with connection.transaction():
                await connection.copy_records_to_table("floor", schema_name="public", records=rows, columns=COLUMNS)
            acknowledged = []
            for slot, records in found.items():
                answers = producer.create_batch()
                for record in records:
                    answers.append(key=record.key, value=answer.value, timestamp=None, headers=headers)
                answers.close()
                acknowledged.append(
                    await producer.send_batch(answers, SLOTS[slot.partition].topic, partition=slot.partition)
                )
            for future in acknowledged:
                await future
            more = meter.add(len(rows))
    await connection.close()
    return meter.rate


async def postgres_floor(url: str, total: int, answer: Message, *, batch: int, skip: float) -> float:
    """SELECT, one COPY, append to the log, commit, and again."""
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    meter, numbers, more = Meter(total, skip), list(range(PARTITIONS)), True
    starts = [0] * PARTITIONS
    while more:
        found = await connection.fetch(
            FETCH, [ContentSubmitted.topic] * PARTITIONS, numbers, starts, batch // PARTITIONS
        )
        rows = [(row["partition"], row["offset"], row["key"], row["value"]) for row in found]
        for partition, offset, _, _ in rows:
            starts[partition] = offset + 1
        n, headers = len(rows), "{" + ", ".join(f'"{k}": "{v}"' for k, v in answer.headers.items()) + "}"
        async with connection.transaction():
            await connection.copy_records_to_table("floor", schema_name="public", records=rows, columns=COLUMNS)
            await connection.execute(
                APPEND,
                [ContentDecided.topic] * n, [row[0] for row in rows], [row[2] for row in rows],
                [answer.value] * n, [headers] * n,
            )  # fmt: skip
        more = meter.add(n)
    await connection.close()
    return meter.rate
