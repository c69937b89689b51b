"""What every transport promises of `tail`: the newest records, looked at without reading on."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from secondlook.common.bus import Bus, Record
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.errors import BusUnavailable
from secondlook.common.postgres import Database
from tests.contract.conftest import Transport, kafka_bus, real_only, running


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
