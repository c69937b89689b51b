"""What every transport promises (services/common/bus/__init__.py), promise by promise."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from secondlook.common.bus import Consumer, Record
from secondlook.common.errors import Fenced
from tests.contract.conftest import Transport
from tests.waiting import until


async def in_the_log(transport: Transport, count: int) -> bool:
    """Whether so many records of the topic can be read."""
    return len(await transport.bus.tail(transport.topic, count)) == count


class RolledBack(Exception):
    """A writer's change of mind."""


async def test_sixteen_writers_with_rollbacks_miss_nothing_and_a_keys_order_is_that_of_the_commits(
    transport: Transport,
) -> None:
    await transport.with_topic(4)
    committed: list[str] = []
    writing = True

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for number in range(120):
            size = chance.choice((1, 1, 1, 5))
            values = [f"{writer}-{number}-{part}" for part in range(size)]
            with contextlib.suppress(RolledBack):
                async with transport.transactions.begin() as work:
                    for value in values:
                        work.forward(transport.message(f"key-{writer}-{number % 7}", value))
                    if chance.random() < 0.15:
                        raise RolledBack
                committed.extend(values)

    async def roll_back_late(writer: int) -> None:
        """Publishes and only then rolls back: what it was given must not leave a hole."""
        for number in range(40):
            with contextlib.suppress(RolledBack):
                async with transport.database.pool.acquire() as connection, connection.transaction():
                    await transport.bus.publish(connection, [transport.message(f"late-{writer}-{number}", "never")])
                    raise RolledBack

    consumer = transport.consumer()
    seen: list[Record] = []
    reading = asyncio.create_task(
        transport.drain(consumer, lambda: not writing and len(seen) >= len(committed), into=seen)
    )
    await asyncio.gather(*(write(writer) for writer in range(16)), *(roll_back_late(writer) for writer in range(4)))
    writing = False
    await asyncio.wait_for(reading, 60)
    await asyncio.sleep(1)  # what must not come, a repeat or what was rolled back, would come by now
    await transport.drain(consumer, lambda: True, into=seen)
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


async def test_concurrent_writers_of_one_key_are_read_in_the_order_of_their_commits(transport: Transport) -> None:
    await transport.with_topic(2)
    await transport.database.pool.execute("CREATE TABLE witness (place bigint)")
    await transport.database.pool.execute("INSERT INTO witness VALUES (0)")

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for _ in range(25):
            async with transport.transactions.begin() as work:
                await asyncio.sleep(chance.random() / 200)
                # The row lock makes the place that of the commit; publishing comes after it, as everywhere.
                place = await work.connection.fetchval("UPDATE witness SET place = place + 1 RETURNING place")
                work.forward(transport.message("k", str(place)))

    await asyncio.gather(*(write(writer) for writer in range(8)))
    consumer, seen = transport.consumer(), list[Record]()
    async with asyncio.timeout(20):
        while len(seen) < 200:
            batch = await transport.fetch(consumer)
            seen.extend(batch.records)
    await consumer.close()
    assert [int(record.value) for record in seen] == list(range(1, 201))


async def test_a_rolled_back_message_is_never_seen(transport: Transport) -> None:
    await transport.with_topic(1)
    with contextlib.suppress(RolledBack):
        async with transport.transactions.begin() as work:
            work.forward(transport.message("k", "gone"))
            raise RolledBack
    await transport.send(transport.message("k", "kept", {"ce_type": "X"}))
    consumer = transport.consumer()
    batch = await transport.fetch(consumer)
    assert [(r.offset, r.key, r.value, dict(r.headers)) for r in batch.records] == [(0, "k", b"kept", {"ce_type": "X"})]
    await consumer.close()


async def test_a_batch_that_took_no_effect_is_read_again_with_what_was_fetched_after_it(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"), transport.message("k", "2"))
    consumer = transport.consumer()
    first = await transport.fetch(consumer)
    await transport.send(transport.message("k", "3"))
    second = await transport.fetch(consumer)
    assert [record.value for record in second.records] == [b"3"]
    assert await consumer.lag() == 3
    await consumer.retry(second)
    await consumer.retry(first)
    again = [record async for record in records(transport, consumer, 3)]
    assert again == [*first.records, *second.records]
    assert await consumer.lag() == 3
    await consumer.close()


async def records(transport: Transport, consumer: Consumer, count: int) -> AsyncIterator[Record]:
    """So many records, in however many batches they come."""
    while count > 0:
        batch = await transport.fetch(consumer)
        count -= len(batch.records)
        for record in batch.records:
            yield record


async def test_two_batches_in_work_take_effect_in_order_or_not_at_all(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"))
    consumer = transport.consumer()
    first = await transport.fetch(consumer)
    await transport.send(transport.message("k", "2"))
    second = await transport.fetch(consumer)
    with pytest.raises(Fenced):
        async with transport.transactions.begin(transport.group, second):
            pass
    for batch in (first, second):
        async with transport.transactions.begin(transport.group, batch):
            pass
        await consumer.done(batch)
    assert await consumer.lag() == 0
    await consumer.close()


async def test_followers_get_the_newest_of_each_key_then_every_change(transport: Transport) -> None:
    await transport.with_topic(1, compacted=True)
    await transport.send(*(transport.message(key, value) for key, value in [("a", "1"), ("b", "2"), ("a", "3")]))
    await until(lambda: in_the_log(transport, 3))
    seen: list[bytes] = []
    ready = asyncio.Event()

    async def apply(record: Record) -> None:
        seen.append(record.value)

    following = asyncio.create_task(transport.bus.follow(transport.topic, apply, ready.set))
    await asyncio.wait_for(ready.wait(), 10)
    assert seen == [b"2", b"3"]
    await transport.send(transport.message("b", "4"))
    await until(lambda: seen[-1] == b"4")
    assert len(seen) == 3
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_any_key_value_and_header_come_back_as_they_were(transport: Transport) -> None:
    await transport.with_topic(3)
    sent = [
        transport.message("ключ/☃", "значение", {"ce_type": "Тип", "traceparent": ""}),
        transport.message("", ""),
        transport.message("k" * 2_000, "v" * 500_000),
    ]
    await transport.send(*sent)
    consumer = transport.consumer()
    found = [record async for record in records(transport, consumer, 3)]
    assert {(r.key, r.value, tuple(r.headers.items())) for r in found} == {
        (m.key, m.value, tuple(m.headers.items())) for m in sent
    }
    await consumer.close()
