"""What every transport promises (services/common/bus/__init__.py), promise by promise."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaProducer

from services.common.bus import Bus, Consumer, Record
from services.common.bus.kafka import KafkaBus
from services.common.errors import BusUnavailable, Fenced
from services.common.postgres import Database
from tests.contract.conftest import Transport, kafka_bus, real_only, running


class RolledBack(Exception):
    """A writer's change of mind."""


async def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


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
    reading = asyncio.create_task(transport.drain(consumer, lambda: not writing))
    await asyncio.gather(*(write(writer) for writer in range(16)), *(roll_back_late(writer) for writer in range(4)))
    await asyncio.sleep(1)  # for what is on its way to the log
    writing = False
    seen = await asyncio.wait_for(reading, 60)
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


@real_only
async def test_the_next_owner_reads_on_where_the_effects_end(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"))
    first = transport.consumer()
    batch = await transport.fetch(first)
    async with transport.transactions.begin(transport.group, batch):
        pass
    await first.close()  # it never learned that its batch is done
    await transport.send(transport.message("k", "2"))
    second = transport.consumer()
    assert [record.value for record in (await transport.fetch(second)).records] == [b"2"]
    await second.close()


@real_only
async def test_a_replaced_owner_is_fenced_and_its_messages_are_never_seen(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"))
    zombie = transport.consumer()
    batch = await transport.fetch(zombie)
    await zombie.close()  # the group is told; the batch is still in work, as in a process that had stopped for a while
    heir = transport.consumer()
    taken = await transport.fetch(heir)
    assert taken.records == batch.records
    with pytest.raises(Fenced):
        async with transport.transactions.begin(transport.group, batch) as work:
            work.forward(transport.message("k", "from the zombie"))
    async with transport.transactions.begin(transport.group, taken):
        pass
    with pytest.raises(Fenced):
        async with transport.transactions.begin(transport.group, taken):
            pass
    await heir.done(taken)
    await transport.send(transport.message("k", "2"))
    assert [record.value for record in (await transport.fetch(heir)).records] == [b"2"]
    await heir.close()


@real_only
async def test_members_share_the_partitions_and_take_over(transport: Transport) -> None:
    await transport.with_topic(4)
    stop = [asyncio.Event(), asyncio.Event()]
    seen: list[set[int]] = [set(), set()]
    values: list[str] = []

    async def member(number: int) -> None:
        consumer = transport.consumer()
        while not stop[number].is_set():
            try:
                if batch := await consumer.fetch(10, wait=0.1):
                    async with transport.transactions.begin(transport.group, batch):
                        pass
                    await consumer.done(batch)
                    seen[number] |= {record.partition for record in batch.records}
                    values.extend(record.value.decode() for record in batch.records)
            except Fenced:
                await consumer.fenced()
        await consumer.close()

    async def send_until(sender: str, condition: Callable[[], bool]) -> int:
        """Send to all partitions until the members have settled; returns how much was sent."""
        sent = 0
        async with asyncio.timeout(30):
            while not condition():
                await transport.send(*(transport.message(f"k{n}", f"{sender}-{sent}-{n}") for n in range(40)))
                sent += 40
                await asyncio.sleep(0.3)
        return sent

    members = [asyncio.create_task(member(number)) for number in (0, 1)]
    await asyncio.sleep(3.0)
    seen[:] = [set(), set()]
    sent = await send_until("a", lambda: seen[0] | seen[1] == {0, 1, 2, 3})
    await eventually(lambda: len(values) == sent)
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0]) == len(seen[1]) == 2
    stop[0].set()
    await members[0]
    sent += await send_until("b", lambda: seen[1] == {0, 1, 2, 3})
    await eventually(lambda: len(values) == sent)
    assert len(set(values)) == sent
    stop[1].set()
    await members[1]


@real_only
async def test_a_member_without_a_partition_waits_and_takes_over(transport: Transport) -> None:
    await transport.with_topic(1)
    first, second = transport.consumer(), transport.consumer()
    await transport.send(transport.message("k", "1"))
    batch = await transport.fetch(first)
    joining = asyncio.create_task(second.fetch(10, wait=2))
    async with transport.transactions.begin(transport.group, batch):
        pass
    await first.done(batch)
    assert await joining is None
    await first.close()
    await transport.send(transport.message("k", "2"))
    values = [record.value for record in await transport.drain(second, lambda: True)] or [
        record.value for record in (await transport.fetch(second)).records
    ]
    assert values == [b"2"]
    await second.close()


async def test_followers_get_the_newest_of_each_key_then_every_change(transport: Transport) -> None:
    await transport.with_topic(1, compacted=True)
    await transport.send(*(transport.message(key, value) for key, value in [("a", "1"), ("b", "2"), ("a", "3")]))
    await asyncio.sleep(0.5)  # for what is on its way to the log
    seen: list[bytes] = []
    ready = asyncio.Event()

    async def apply(record: Record) -> None:
        seen.append(record.value)

    following = asyncio.create_task(transport.bus.follow(transport.topic, apply, ready.set))
    await asyncio.wait_for(ready.wait(), 10)
    assert seen == [b"2", b"3"]
    await transport.send(transport.message("b", "4"))
    await eventually(lambda: seen[-1] == b"4")
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


async def arrived(transport: Transport, count: int) -> list[Record]:
    """The whole topic, once it holds so many records."""
    async with asyncio.timeout(20):
        while len(found := await transport.bus.tail(transport.topic, count + 1)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def test_the_tail_is_the_newest_over_all_partitions_in_the_order_of_their_times(transport: Transport) -> None:
    await transport.with_topic(3)
    for part in range(4):
        await transport.send(*(transport.message(f"k{n}", f"{part}-{n}", {"ce_type": "X"}) for n in range(10)))
        await arrived(transport, 10 * part + 10)
    everything = await transport.bus.tail(transport.topic, 1_000)
    assert {record.value.decode() for record in everything} == {f"{part}-{n}" for part in range(4) for n in range(10)}
    assert len({record.partition for record in everything}) > 1
    assert {(record.topic, record.headers["ce_type"]) for record in everything} == {(transport.topic, "X")}
    places = [(record.written_at, record.partition, record.offset) for record in everything]
    assert places == sorted(places)
    for count in (1, 7, 25, 39, 40):
        assert await transport.bus.tail(transport.topic, count) == everything[-count:]
    assert await transport.bus.tail(transport.topic, 0) == []


@real_only
async def test_the_tail_of_a_topic_that_is_not_there_is_empty_and_creates_nothing(transport: Transport) -> None:
    missing = f"{transport.topic}-missing"
    assert await transport.bus.tail(missing, 10) == []
    if isinstance(transport.bus, KafkaBus):
        async with transport.bus._admin() as admin:
            assert f"test.{missing}" not in await admin.list_topics()
    await transport.with_topic(2)
    assert await transport.bus.tail(transport.topic, 10) == []


async def test_looking_at_the_tail_moves_no_reader(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"), transport.message("k", "2"))
    consumer = transport.consumer()
    batch = await transport.fetch(consumer)
    assert [record.value for record in await transport.bus.tail(transport.topic, 1)] == [b"2"]
    async with transport.transactions.begin(transport.group, batch):
        pass
    await consumer.done(batch)
    await transport.send(transport.message("k", "3"))
    assert [record.value for record in (await transport.fetch(consumer)).records] == [b"3"]
    await consumer.close()


async def test_the_tail_looks_past_what_was_never_committed(database: Database, kafka_bootstrap: str) -> None:
    """A foreign writer's transactions leave gaps between the offsets: a marker each, and what was rolled back."""
    bus = kafka_bus(database, kafka_bootstrap)
    async with running(bus, database) as transport:
        await transport.with_topic(1)
        producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=transport.token)
        await producer.start()
        for number in range(20):
            await producer.begin_transaction()
            await producer.send_and_wait(transport.kafka_topic, f"{number}".encode(), b"k")
            await (producer.abort_transaction() if number % 4 == 3 else producer.commit_transaction())
        await producer.stop()
        kept = [number for number in range(20) if number % 4 != 3]
        for count in (1, 2, 10, len(kept), 100):
            found = await bus.tail(transport.topic, count)
            assert [int(record.value) for record in found] == kept[-count:]


async def test_the_tail_says_that_the_bus_is_away(transport: Transport) -> None:
    await transport.with_topic(1)
    if transport.mock is not None:
        for broker in (1, 2, 3):
            transport.mock.down(broker)
        bus: Bus = transport.bus
    elif isinstance(transport.bus, KafkaBus):
        bus = kafka_bus(transport.database, "127.0.0.1:1")
    else:
        bus = transport.bus
        await transport.database.pool.close()
    with pytest.raises(BusUnavailable):
        await bus.tail(transport.topic, 10)
