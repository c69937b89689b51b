"""What every transport promises (services/common/bus/__init__.py), promise by promise."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest

from services.common.bus import Batch, Consumer, Message, Record, Topic
from services.common.bus.postgres import PostgresBus
from services.common.clock import SystemClock
from services.common.errors import Fenced, PositionLost
from services.common.postgres import Database
from services.common.unit_of_work import Transactions

TOPIC = "contract"


class RolledBack(Exception):
    """A writer's change of mind."""


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


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def fetch_some(consumer: Consumer) -> Batch:
    batch = await consumer.fetch(100, wait=5)
    assert batch is not None
    return batch


async def test_sixteen_writers_with_rollbacks_and_retention_miss_nothing(
    bus: PostgresBus, transactions: Transactions
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 4)])
    committed: list[str] = []
    writing = True

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for number in range(150):
            size = chance.choice((1, 1, 1, 5))
            values = [f"{writer}-{number}-{part}" for part in range(size)]
            with contextlib.suppress(RolledBack):
                async with transactions.begin() as work:
                    for value in values:
                        work.forward(Message(TOPIC, f"key-{writer}-{number % 7}", value.encode()))
                    if chance.random() < 0.15:
                        raise RolledBack
                committed.extend(values)

    async def roll_back_late(writer: int) -> None:
        """Appends and only then rolls back: the offsets it was given must not leave a hole."""
        for number in range(40):
            with contextlib.suppress(RolledBack):
                async with transactions.database.pool.acquire() as connection, connection.transaction():
                    await bus.publish(connection, [Message(TOPIC, f"late-{writer}-{number}", b"never")])
                    raise RolledBack

    async def retain() -> None:
        while writing:
            await bus.trim(timedelta(0), SystemClock())
            await asyncio.sleep(0.02)

    consumer = bus.consumer("readers", [TOPIC])
    await consumer.fetch(1, wait=0)  # join: retention spares what a known group has not read
    retention = asyncio.create_task(retain())
    reading = asyncio.create_task(drain(consumer, transactions, "readers", lambda: not writing))
    await asyncio.gather(*(write(writer) for writer in range(16)), *(roll_back_late(writer) for writer in range(4)))
    writing = False
    seen = await asyncio.wait_for(reading, 60)
    await retention
    await consumer.close()

    values = [record.value.decode() for record in seen]
    assert len(values) == len(set(values))
    assert sorted(values) == sorted(committed)
    order: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for value, record in zip(values, seen, strict=True):
        writer, number, part = map(int, value.split("-"))
        assert record.key == f"key-{writer}-{number % 7}"
        order[record.key].append((number, part))
    assert all(sequence == sorted(sequence) for sequence in order.values())


async def test_a_rolled_back_message_is_never_seen(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    with contextlib.suppress(RolledBack):
        async with transactions.begin() as work:
            work.forward(Message(TOPIC, "k", b"gone"))
            raise RolledBack
    await send(transactions, Message(TOPIC, "k", b"kept", {"ce_type": "X"}))
    consumer = bus.consumer("readers", [TOPIC])
    batch = await fetch_some(consumer)
    assert [(r.offset, r.value, dict(r.headers)) for r in batch.records] == [(0, b"kept", {"ce_type": "X"})]
    await consumer.close()


async def test_a_batch_that_took_no_effect_is_read_again(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, Message(TOPIC, "k", b"1"), Message(TOPIC, "k", b"2"))
    consumer = bus.consumer("readers", [TOPIC])
    first = await fetch_some(consumer)
    await consumer.retry(first)
    assert await fetch_some(consumer) == first
    assert await consumer.lag() == 2
    await consumer.close()


async def test_the_next_owner_reads_on_where_the_effects_end(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, Message(TOPIC, "k", b"1"))
    first = bus.consumer("readers", [TOPIC])
    batch = await fetch_some(first)
    async with transactions.begin("readers", batch):
        pass
    await first.close()  # it never learned that its batch is done
    await send(transactions, Message(TOPIC, "k", b"2"))
    second = bus.consumer("readers", [TOPIC])
    assert [record.value for record in (await fetch_some(second)).records] == [b"2"]
    await second.close()


async def test_a_replaced_owner_is_fenced(bus: PostgresBus, transactions: Transactions, database: Database) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, Message(TOPIC, "k", b"1"))
    zombie = bus.consumer("readers", [TOPIC])
    batch = await fetch_some(zombie)
    # The server ends the zombie's session, as it would for a process that stopped answering.
    await database.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
    )
    heir = bus.consumer("readers", [TOPIC])
    taken = await fetch_some(heir)
    assert taken.records == batch.records
    with pytest.raises(Fenced):
        async with transactions.begin("readers", batch) as work:
            work.forward(Message(TOPIC, "k", b"from the zombie"))
    async with transactions.begin("readers", taken):
        pass
    with pytest.raises(Fenced):
        async with transactions.begin("readers", taken):
            pass
    assert await database.pool.fetchval("SELECT count(*) FROM bus.record") == 1
    await zombie.close()
    await heir.close()


async def test_members_share_the_partitions_and_take_over(bus: PostgresBus, transactions: Transactions) -> None:
    await bus.ensure_topics([Topic(TOPIC, 4)])
    stop = [asyncio.Event(), asyncio.Event()]
    seen: list[set[int]] = [set(), set()]
    values: list[str] = []

    async def member(number: int) -> None:
        consumer = bus.consumer("readers", [TOPIC])
        while not stop[number].is_set():
            try:
                if batch := await consumer.fetch(10, wait=0.1):
                    async with transactions.begin("readers", batch):
                        pass
                    await consumer.done(batch)
                    seen[number] |= {record.partition for record in batch.records}
                    values.extend(record.value.decode() for record in batch.records)
            except Fenced:
                await consumer.fenced()
        await consumer.close()

    members = [asyncio.create_task(member(number)) for number in (0, 1)]
    await asyncio.sleep(2.5)
    await send(transactions, *(Message(TOPIC, f"k{n}", f"a{n}".encode()) for n in range(60)))
    await eventually(lambda: len(values) == 60)
    assert seen[0] | seen[1] == {0, 1, 2, 3}
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0]) == len(seen[1]) == 2
    stop[0].set()
    await members[0]
    await send(transactions, *(Message(TOPIC, f"k{n}", f"b{n}".encode()) for n in range(60)))
    await eventually(lambda: len(values) == 120)
    assert seen[1] == {0, 1, 2, 3}
    assert len(set(values)) == 120
    stop[1].set()
    await members[1]


async def test_records_that_are_gone_unread_stop_the_reader(
    bus: PostgresBus, transactions: Transactions, database: Database
) -> None:
    await bus.ensure_topics([Topic(TOPIC, 1)])
    await send(transactions, *(Message(TOPIC, "k", b"x") for _ in range(3)))
    reader = bus.consumer("readers", [TOPIC])
    await fetch_some(reader)
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
    await fetch_some(slow)
    assert len(await drain(fast, transactions, "fast", lambda: True)) == 2
    assert await bus.trim(timedelta(seconds=-1), SystemClock()) == 0
    assert len(await drain(slow, transactions, "slow", lambda: True)) == 2
    assert await bus.trim(timedelta(seconds=-1), SystemClock()) == 2
    await slow.close()
    await fast.close()


async def test_followers_get_the_newest_of_each_key_then_every_change(
    bus: PostgresBus, transactions: Transactions
) -> None:
    await bus.ensure_topics([Topic("state", 1, compacted=True)])
    await send(transactions, *(Message("state", key, value) for key, value in [("a", b"1"), ("b", b"2"), ("a", b"3")]))
    seen: list[bytes] = []
    ready = asyncio.Event()

    async def apply(record: Record) -> None:
        seen.append(record.value)

    following = asyncio.create_task(bus.follow("state", apply, ready.set))
    await asyncio.wait_for(ready.wait(), 5)
    assert sorted(seen) == [b"2", b"3"]
    await send(transactions, Message("state", "b", b"4"))
    await eventually(lambda: seen[-1] == b"4")
    following.cancel()
    assert len(seen) == 3


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
    append = "SELECT bus.append(ARRAY['contract'], ARRAY[0], ARRAY['k'], ARRAY['{}'::bytea], ARRAY[$1]::jsonb[])"
    for headers in ("[]", "null", '"x"', "5"):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.pool.execute(append, headers)
    await database.pool.execute(append, '{"ce_type": 5, "other": {}, "traceparent": "t"}')
    reader = bus.consumer("readers", [TOPIC])
    assert [dict(record.headers) for record in (await fetch_some(reader)).records] == [{"traceparent": "t"}]
    await reader.close()
