"""What the embedded transport promises beside the contract: retention, and a log that refuses what it cannot hold."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest

from secondlook.common.bus import Batch, Consumer, Message, Record, Topic
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.clock import SystemClock
from secondlook.common.errors import PositionLost
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions

TOPIC = "contract"


@pytest.fixture
def bus(database: Database) -> PostgresBus:
    return PostgresBus(database)


@pytest.fixture
def transactions(database: Database, bus: PostgresBus) -> Transactions:
    return Transactions(database, bus, SystemClock(), "test")


async def send(transactions: Transactions, *messages: Message) -> None:
    async with transactions.begin() as work:
        for message in messages:
            work.forward(message)


async def drain(consumer: Consumer, transactions: Transactions, group: str, until: Callable[[], bool]) -> list[Record]:
    """Read and commit batches until there is nothing left and `until` holds."""
    seen: list[Record] = []
    while True:
        batch = await consumer.fetch(100, wait=0.3)
        if batch is None:
            if until():
                return seen
            continue
        async with transactions.begin(group, batch):
            pass
        await consumer.done(batch)
        seen.extend(batch.records)


async def fetch_some(consumer: Consumer) -> Batch:
    batch = await consumer.fetch(100, wait=5)
    assert batch is not None
    return batch


async def test_retention_beside_writers_and_a_reader_skips_nothing(
    bus: PostgresBus, transactions: Transactions
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 4)])
    writing = True

    async def write(writer: int) -> None:
        for number in range(100):
            await send(transactions, Message(TOPIC, f"key-{writer}-{number % 7}", f"{writer}-{number}".encode()))

    async def retain() -> None:
        while writing:
            await bus.trim(timedelta(0), SystemClock())
            await asyncio.sleep(0.02)

    consumer = bus.consumer("readers", [TOPIC])
    await consumer.fetch(1, wait=0)  # join: retention spares what a known group has not read
    retention = asyncio.create_task(retain())
    reading = asyncio.create_task(drain(consumer, transactions, "readers", lambda: not writing))
    await asyncio.gather(*(write(writer) for writer in range(16)))
    writing = False
    seen = await asyncio.wait_for(reading, 60)
    await retention
    await consumer.close()
    assert sorted(record.value.decode() for record in seen) == sorted(f"{w}-{n}" for w in range(16) for n in range(100))


async def test_records_that_are_gone_unread_stop_the_reader(
    bus: PostgresBus, transactions: Transactions, database: Database
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, *(Message(TOPIC, "k", b"x") for _ in range(3)))
    reader = bus.consumer("readers", [TOPIC])
    await reader.retry(await fetch_some(reader))
    await database.pool.execute('DELETE FROM bus.record WHERE "offset" = 0')
    with pytest.raises(PositionLost, match="expected offset 0"):
        await reader.fetch(10, wait=1)
    await reader.close()
    await database.pool.execute("UPDATE bus.partition SET floor = 3")
    with pytest.raises(PositionLost, match="records below 3 were removed"):
        await bus.consumer("readers", [TOPIC]).fetch(10, wait=1)


async def test_a_new_group_starts_at_the_oldest_record_there_is(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, Message(TOPIC, "k", b"1"), Message(TOPIC, "k", b"2"))
    assert await bus.trim(timedelta(seconds=-1), SystemClock()) == 2
    await send(transactions, Message(TOPIC, "k", b"3"))
    reader = bus.consumer("late", [TOPIC])
    assert [(record.offset, record.value) for record in (await fetch_some(reader)).records] == [(2, b"3")]
    await reader.close()


async def test_retention_waits_for_every_known_group(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    slow, fast = bus.consumer("slow", [TOPIC]), bus.consumer("fast", [TOPIC])
    await send(transactions, Message(TOPIC, "k", b"1"), Message(TOPIC, "k", b"2"))
    await slow.retry(await fetch_some(slow))
    assert len(await drain(fast, transactions, "fast", lambda: True)) == 2
    assert await bus.trim(timedelta(seconds=-1), SystemClock()) == 0
    assert len(await drain(slow, transactions, "slow", lambda: True)) == 2
    assert await bus.trim(timedelta(seconds=-1), SystemClock()) == 2
    await slow.close()
    await fast.close()


async def test_an_unknown_topic_is_named_and_nothing_is_written(
    bus: PostgresBus, transactions: Transactions, database: Database
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    with pytest.raises(asyncpg.UndefinedObjectError, match="topic nowhere has no partition 0"):
        await send(transactions, Message(TOPIC, "k", b"1"), Message("nowhere", "k", b"2"))
    assert await database.pool.fetchval("SELECT count(*) FROM bus.record") == 0


async def test_headers_are_text_by_name_whatever_a_foreign_writer_puts_there(
    bus: PostgresBus, transactions: Transactions, database: Database
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    append = "SELECT bus.append(ARRAY['contract'], ARRAY[0], ARRAY['k'], ARRAY['{}'::bytea], ARRAY[$1::text]::jsonb[])"
    for headers in ("[]", "null", '"x"', "5"):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.pool.execute(append, headers)
    await database.pool.execute(append, '{"ce_type": 5, "other": {}, "traceparent": "t"}')
    reader = bus.consumer("readers", [TOPIC])
    assert [dict(record.headers) for record in (await fetch_some(reader)).records] == [{"traceparent": "t"}]
    await reader.close()
