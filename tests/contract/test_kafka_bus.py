"""What Kafka adds to the contract: foreign writers, lost records, members that come and go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from secondlook.common.bus import Topic
from secondlook.common.bus.kafka_consumer import GROUP_PREFIX, KafkaConsumer
from secondlook.common.bus.kafka_record import to_record
from secondlook.common.errors import ConfigurationError, Fenced, PositionLost
from secondlook.common.postgres import Database
from tests.contract.conftest import Observed, Transport, kafka_bus, producer, running
from tests.waiting import until


@contextlib.asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def test_whatever_a_foreign_writer_sends_is_read_as_text(kafka: Transport, kafka_bootstrap: str) -> None:
    await kafka.with_topic(1)
    async with producer(kafka_bootstrap) as foreign:
        await foreign.send_and_wait(kafka.kafka_topic, b"a", None, headers=[("ce_type", b"\xff"), ("none", None)])
        await foreign.send_and_wait(kafka.kafka_topic, b"b", b"\xff\x00key")
        await foreign.send_and_wait(kafka.kafka_topic, None, b"c")
    consumer = kafka.consumer()
    found = await kafka.fetch(consumer)
    assert [(r.key, r.value, dict(r.headers)) for r in found.records] == [
        ("", b"a", {"ce_type": "\ufffd"}),
        ("\ufffd\x00key", b"b", {}),
        ("c", b"", {}),
    ]
    await consumer.close()


@pytest.mark.parametrize("timestamp", [-1, -(2**62), 2**62])
def test_a_time_that_is_none_is_the_epoch(timestamp: int) -> None:
    found = SimpleNamespace(topic="t", partition=0, offset=0, key=b"", value=b"", headers=(), timestamp=timestamp)
    assert abs((to_record(found, "kafka", "").written_at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) < 1


async def test_aborted_records_of_a_transactional_writer_are_passed_over(
    kafka: Transport, kafka_bootstrap: str
) -> None:
    await kafka.with_topic(1)
    async with producer(kafka_bootstrap, transactional_id=kafka.token) as foreign:
        for values, commit in (([b"1", b"2"], True), ([b"never"], False), ([b"3"], True)):
            await foreign.begin_transaction()
            for value in values:
                await foreign.send_and_wait(kafka.kafka_topic, value, b"k")
            await (foreign.commit_transaction() if commit else foreign.abort_transaction())
    consumer = kafka.consumer()
    seen = [record.value for record in await kafka.drain(consumer, lambda: True)]
    while len(seen) < 3:
        seen += [record.value for record in await kafka.drain(consumer, lambda: True)]
    assert seen == [b"1", b"2", b"3"]
    await consumer.close()


async def test_records_that_are_gone_unread_stop_the_reader(kafka: Transport, kafka_bootstrap: str) -> None:
    await kafka.with_topic(1)
    await kafka.send(*(kafka.message("k", str(number)) for number in range(6)))
    first = kafka.consumer()
    batch = await kafka.fetch(first)
    assert len(batch.records) == 6
    await first.close()
    async with admin(kafka_bootstrap) as client:
        await client.delete_records({TopicPartition(kafka.kafka_topic, 0): RecordsToDelete(before_offset=4)})
    second = kafka.consumer()
    with pytest.raises(PositionLost, match=r"at offset 0 .* oldest record left is 4"):
        await kafka.fetch(second)
    fresh = kafka.consumer("fresh")
    assert [record.offset for record in (await kafka.fetch(fresh)).records] == [4, 5]
    await fresh.close()


async def test_a_topic_that_was_made_anew_stops_the_reader(kafka: Transport, kafka_bootstrap: str) -> None:
    await kafka.with_topic(1)
    await kafka.send(kafka.message("k", "1"), kafka.message("k", "2"))
    first = kafka.consumer()
    assert len(await kafka.drain(first, lambda: kafka.observed.messages == 2)) == 2
    await first.close()
    async with admin(kafka_bootstrap) as client:
        await client.delete_topics([kafka.kafka_topic])

        async def is_gone() -> bool:
            return kafka.kafka_topic not in await client.list_topics()

        await until(is_gone)
    await kafka.with_topic(1)
    async with producer(kafka_bootstrap) as foreign:
        await foreign.send_and_wait(kafka.kafka_topic, b"new", b"k")
    second = kafka.consumer()
    with pytest.raises(PositionLost, match="made anew"):
        await kafka.fetch(second)


async def test_a_member_finishes_what_it_has_in_work_before_its_partitions_move(
    kafka: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kafka.with_topic(2)
    await kafka.send(*(kafka.message(f"k{number}", str(number)) for number in range(20)))
    first, second = kafka.consumer(), kafka.consumer()
    assert isinstance(first, KafkaConsumer)
    asked, give_up = asyncio.Event(), first.on_partitions_revoked

    async def noted(revoked: Iterable[TopicPartition]) -> None:
        asked.set()
        await give_up(revoked)

    batch = await kafka.fetch(first)
    monkeypatch.setattr(first, "on_partitions_revoked", noted)  # not before: it is also called when the first joins
    joining = asyncio.create_task(kafka.fetch(second))
    await asyncio.wait_for(asked.wait(), 20)
    assert await first.fetch(10, wait=0.2) is None, "nothing more is handed out while the group waits for us"
    assert not joining.done()
    async with kafka.transactions.begin(kafka.group, batch):
        pass
    await first.done(batch)
    await kafka.send(*(kafka.message(f"k{number}", f"late {number}") for number in range(20)))

    async def read_on() -> None:
        while True:
            await first.fetch(10, wait=0.2)

    reading = asyncio.create_task(read_on())
    taken = await joining
    async with kafka.transactions.begin(kafka.group, taken):
        pass  # not fenced: the first gave this partition up
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await first.close()
    await second.close()


async def test_kafka_is_told_how_far_the_group_is(kafka: Transport, kafka_bootstrap: str) -> None:
    await kafka.with_topic(1)
    await kafka.send(*(kafka.message("k", str(number)) for number in range(5)))
    consumer = kafka.consumer()
    await kafka.drain(consumer, lambda: kafka.observed.messages == 5)
    tool = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id="test." + GROUP_PREFIX + kafka.group)

    async def is_told() -> bool:
        return bool(await tool.committed(TopicPartition(kafka.kafka_topic, 0)) == 5)

    try:
        await tool.start()
        await until(is_told)
    finally:
        await tool.stop()
        await consumer.close()


async def test_relays_share_the_outbox_and_take_over(kafka: Transport, database: Database) -> None:
    await kafka.with_topic(4)
    others = [Observed(), Observed()]
    tasks = [asyncio.create_task(kafka.bus.run(observed)) for observed in others]
    sent = 0

    async def send() -> None:
        nonlocal sent
        await kafka.send(*(kafka.message(f"k{number}", f"{sent} {number}") for number in range(40)))
        sent += 40

    async with asyncio.timeout(20):
        while not all(observed.messages for observed in (kafka.observed, *others)):
            await send()
            await asyncio.sleep(0.3)
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    await send()
    consumer = kafka.consumer()
    seen: list[bytes] = []
    async with asyncio.timeout(20):
        while len(seen) < sent:
            seen += [record.value for record in (await kafka.fetch(consumer)).records]
    assert len(set(seen)) == sent
    await consumer.close()
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    await eventually_empty(database)


async def eventually_empty(database: Database) -> None:
    async with asyncio.timeout(10):
        while await database.pool.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_zombie_that_the_group_gave_up_is_fenced(database: Database, kafka_bootstrap: str) -> None:
    bus = kafka_bus(database, kafka_bootstrap)
    async with running(bus, database) as transport:
        await transport.with_topic(1)
        await transport.send(transport.message("k", "1"))
        zombie = transport.consumer()
        batch = await transport.fetch(zombie)
        # As the broker sees a process that stopped: no heartbeat reaches it, and the partition goes to the heir.
        coordinator = zombie._consumer._coordinator  # type: ignore[attr-defined]
        await coordinator._stop_heartbeat_task()
        heir = transport.consumer()
        taken = await transport.fetch(heir)
        assert taken.records == batch.records
        async with transport.transactions.begin(transport.group, taken):
            pass
        with pytest.raises(Fenced):
            async with transport.transactions.begin(transport.group, batch):
                pass
        await zombie.fenced()
        await heir.close()


@pytest.mark.parametrize(("there", "wanted", "says"), [
    (Topic("", 2), Topic("", 4), "has 2 partitions, fewer than the 4 of SECONDLOOK_PARTITIONS"),
    (Topic("", 2), Topic("", 1, compacted=True), "has 2 partitions and must have 1"),
])  # fmt: skip
async def test_a_topic_that_is_not_as_it_must_be_is_named(
    kafka: Transport, there: Topic, wanted: Topic, says: str
) -> None:
    await kafka.with_topic(there.partitions)
    with pytest.raises(ConfigurationError, match=f"{kafka.topic} {says}"):
        await kafka.with_topic(wanted.partitions, compacted=wanted.compacted)


async def test_produce_errors_that_pass_repeat_nothing_and_keep_the_order(transport_mock: Transport) -> None:
    await transport_mock.with_topic(1)
    mock = transport_mock.mock
    assert mock is not None
    consumer = transport_mock.consumer()
    mock.fail_next(0, 6, 7, 19, 20)  # Produce: not the leader, timed out, too few replicas, and once more
    await transport_mock.send(*(transport_mock.message("k", str(number)) for number in range(50)))
    await transport_mock.send(*(transport_mock.message("k", str(number)) for number in range(50, 100)))
    seen: list[bytes] = []
    async with asyncio.timeout(20):
        while len(seen) < 100:
            seen += [record.value for record in (await transport_mock.fetch(consumer)).records]
    assert [int(value) for value in seen] == list(range(100))
    await consumer.close()


async def test_produce_errors_that_do_not_pass_are_said_and_sent_again_by_a_new_producer(
    transport_mock: Transport,
) -> None:
    await transport_mock.with_topic(1)
    mock = transport_mock.mock
    assert mock is not None
    consumer = transport_mock.consumer()
    mock.fail_next(0, 45)  # Produce: out of order sequence
    await transport_mock.send(transport_mock.message("k", "1"), transport_mock.message("k", "2"))
    batch = await transport_mock.fetch(consumer)
    assert [record.value for record in batch.records] == [b"1", b"2"]
    assert any("Kafka does not take what was published" in reason for reason in transport_mock.observed.reasons)
    await until(lambda: transport_mock.observed.messages == 2)
    await consumer.close()
