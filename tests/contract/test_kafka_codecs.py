"""Kafka as it comes: every codec, whoever wrote it, and what cannot be read holds up its own partition only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import confluent_kafka
import pytest
from aiokafka import TopicPartition, codec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record._crecords import default_records

from secondlook.common.bus import Record
from secondlook.common.bus import kafka_partition as partition
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.kafka_consumer import KafkaConsumer
from secondlook.common.bus.kafka_partition import CODECS, NO_LEADER, missing_codecs
from secondlook.common.errors import BusUnavailable
from secondlook.common.postgres import Database
from tests.contract.conftest import Transport, kafka_bus, producer, running
from tests.kafka_world import started
from tests.waiting import until
from tools.kafka.broker import Broker

ON_KAFKA = pytest.mark.parametrize("transport", ["kafka", "mock"], indirect=True)
VALUES = [f"{number} ".encode() * 400 for number in range(60)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(partition, "MOST_SECONDS", 0.4)


def bootstrap_of(transport: Transport) -> str:
    assert isinstance(transport.bus, KafkaBus)
    return str(transport.bus._client["bootstrap_servers"])


async def by_aiokafka(transport: Transport, codec_name: str) -> None:
    """Snappy as the Java client writes it, too: framed as xerial's library does."""
    async with producer(bootstrap_of(transport), compression_type=None if codec_name == "none" else codec_name) as out:
        for sent in [await out.send(transport.kafka_topic, value, b"k", partition=0) for value in VALUES]:
            await sent


async def by_librdkafka(transport: Transport, codec_name: str) -> None:
    """Snappy without a frame, lz4 and zstd by the libraries of their authors."""
    client = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap_of(transport), "compression.codec": codec_name, "linger.ms": 20}
    )
    for value in VALUES:
        client.produce(transport.kafka_topic, value, b"k", 0)
    assert await asyncio.to_thread(client.flush, 20) == 0


@pytest.mark.parametrize("codec_name", ["none", *CODECS])
@pytest.mark.parametrize("write", [by_aiokafka, by_librdkafka])
@ON_KAFKA
async def test_every_codec_is_read_whoever_wrote_it(transport: Transport, write: Any, codec_name: str) -> None:
    await transport.with_topic(1)
    await write(transport, codec_name)
    consumer = transport.consumer()
    seen: list[Record] = []
    async with asyncio.timeout(30):
        await transport.drain(consumer, lambda: len(seen) >= len(VALUES), into=seen)
    assert [record.value for record in seen] == VALUES
    assert [record.value for record in await transport.bus.tail(transport.topic, 10)] == VALUES[-10:]
    assert (await followed(transport, 1))[-1].value == VALUES[-1]
    assert transport.observed.cannot_read == {}
    await consumer.close()


async def followed(transport: Transport, count: int) -> list[Record]:
    """What a follower is given up to the end of the topic."""
    seen: list[Record] = []
    ready = asyncio.Event()

    async def apply(record: Record) -> None:
        seen.append(record)

    async with following(transport, apply, ready):
        await asyncio.wait_for(ready.wait(), 20)
    assert len(seen) == count
    return seen


@contextlib.asynccontextmanager
async def following(transport: Transport, apply: Any, ready: asyncio.Event) -> AsyncIterator[None]:
    task = asyncio.create_task(transport.bus.follow(transport.topic, apply, ready.set))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("kept_as", CODECS)
async def test_a_topic_that_the_broker_compresses_anew_is_read(kafka: Transport, kept_as: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_of(kafka))
    await admin.start()
    await admin.create_topics([NewTopic(kafka.kafka_topic, 1, 1, topic_configs={"compression.type": kept_as})])
    await admin.close()
    await kafka.with_topic(1)
    await kafka.send(*(kafka.message("k", value.decode()) for value in VALUES))
    consumer = kafka.consumer()
    seen: list[Record] = []
    async with asyncio.timeout(30):
        await kafka.drain(consumer, lambda: len(seen) >= len(VALUES), into=seen)
    assert [record.value for record in seen] == VALUES
    await consumer.close()


async def mixed(transport: Transport, codec_name: str) -> None:
    """Partition 0: two plain records, two by the codec, one plain. Partition 1: five plain ones."""
    bootstrap = bootstrap_of(transport)
    async with producer(bootstrap) as plain, producer(bootstrap, compression_type=codec_name) as packed:
        for out, values in ((plain, "ab"), (packed, "cd"), (plain, "e")):
            sent = [await out.send(transport.kafka_topic, v.encode() * 500, v.encode(), partition=0) for v in values]
            await asyncio.gather(*sent)
        for value in "vwxyz":
            await plain.send_and_wait(transport.kafka_topic, value.encode() * 500, value.encode(), partition=1)


@pytest.mark.parametrize("codec_name", CODECS)
@ON_KAFKA
async def test_a_codec_without_its_library_holds_up_its_partition_only_and_loses_nothing(
    transport: Transport, codec_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await transport.with_topic(2)
    await mixed(transport, codec_name)
    available = getattr(codec, f"has_{codec_name}")
    monkeypatch.setattr(codec, f"has_{codec_name}", lambda: False)
    assert missing_codecs() == [codec_name]
    consumer = transport.consumer()
    seen: list[Record] = []
    async with asyncio.timeout(30):
        await transport.drain(consumer, lambda: bool(transport.observed.cannot_read), into=seen)
        await transport.drain(consumer, lambda: len(seen) >= 7, into=seen)
    assert [r.key for r in seen if r.partition == 0] == ["a", "b"], "what stands before the batch, and nothing behind"
    assert [r.key for r in seen if r.partition == 1] == list("vwxyz")
    [(name, reason)] = transport.observed.cannot_read.items()
    assert name == f"{transport.topic}[0] for {transport.group}"
    assert all(part in reason for part in ("at offset 2:", codec_name, "pip install 'second-look[kafka]'"))
    assert await consumer.lag() == 3
    async with producer(bootstrap_of(transport)) as plain:
        await plain.send_and_wait(transport.kafka_topic, b"1", b"late", partition=1)
    async with asyncio.timeout(20):
        await transport.drain(consumer, lambda: seen[-1].key == "late", into=seen)
    assert transport.observed.cannot_read, "still"

    monkeypatch.setattr(codec, f"has_{codec_name}", available)
    async with asyncio.timeout(20):
        await transport.drain(consumer, lambda: len(seen) >= 11, into=seen)
        await transport.drain(consumer, lambda: True, into=seen)
    assert [r.key for r in seen if r.partition == 0] == list("abcde")
    assert transport.observed.cannot_read == {}
    assert await consumer.lag() == 0
    await consumer.close()


async def test_a_member_that_leaves_takes_its_report_with_it(kafka: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    await kafka.with_topic(2)
    await mixed(kafka, "zstd")
    monkeypatch.setattr(codec, "has_zstd", lambda: False)
    consumer = kafka.consumer()
    async with asyncio.timeout(30):
        await kafka.drain(consumer, lambda: bool(kafka.observed.cannot_read))
    await consumer.close()
    assert kafka.observed.cannot_read == {}


async def test_a_follower_waits_at_what_it_cannot_read_and_then_goes_on(
    kafka: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kafka.with_topic(1, compacted=True)
    seen: list[str] = []
    ready = asyncio.Event()

    async def apply(record: Record) -> None:
        seen.append(record.value.decode())

    packed = confluent_kafka.Producer({"bootstrap.servers": bootstrap_of(kafka), "compression.codec": "lz4"})
    async with producer(bootstrap_of(kafka)) as plain:
        await plain.send_and_wait(kafka.kafka_topic, b"1", b"k")
    async with following(kafka, apply, ready):
        await asyncio.wait_for(ready.wait(), 20)
        monkeypatch.setattr(codec, "has_lz4", lambda: False)
        async with producer(bootstrap_of(kafka)) as plain:
            await plain.send_and_wait(kafka.kafka_topic, b"2", b"k")
            packed.produce(kafka.kafka_topic, b"3" * 500, b"k")
            assert await asyncio.to_thread(packed.flush, 20) == 0
            await plain.send_and_wait(kafka.kafka_topic, b"4", b"k")
        await until(lambda: bool(kafka.observed.cannot_read))
        assert seen == ["1", "2"]
        assert f"{kafka.topic}[0] for its followers" in kafka.observed.cannot_read
        with pytest.raises(BusUnavailable, match="lz4"):
            await kafka.bus.tail(kafka.topic, 10)
        monkeypatch.undo()
        await until(lambda: len(seen) == 4)
        assert seen == ["1", "2", "3" * 500, "4"]
        assert kafka.observed.cannot_read == {}


@pytest.fixture(scope="module")
def own_broker() -> Iterator[tuple[str, Path]]:
    """A broker whose files this module may damage: its address, and the folder of its data."""
    with TemporaryDirectory(prefix="second-look-") as folder, started(Broker(Path(folder), quick=True)) as broker:
        yield broker.bootstrap, Path(folder)


def damage(folder: Path, topic: str, text: bytes, instead: bytes) -> None:
    """Change bytes in the log of partition 0."""
    [segment] = folder.rglob(f"{topic}-0/*.log")
    kept = segment.read_bytes()
    assert kept.count(text) == 1
    with segment.open("r+b") as file:
        file.seek(kept.index(text))
        file.write(instead)


@pytest.mark.slow
async def test_a_batch_that_is_damaged_on_the_brokers_disk_holds_up_its_partition_only(
    database: Database, own_broker: tuple[str, Path]
) -> None:
    bootstrap, folder = own_broker
    async with running(kafka_bus(database, bootstrap), database) as kafka:
        await kafka.with_topic(2)
        async with producer(bootstrap) as plain:
            for value in (b"first", b"broken", b"last"):
                await plain.send_and_wait(kafka.kafka_topic, value, b"k", partition=0)
            for value in (b"x", b"y"):
                await plain.send_and_wait(kafka.kafka_topic, value, b"k", partition=1)
        damage(folder, kafka.kafka_topic, b"broken", b"bro\x00en")
        consumer = kafka.consumer()
        seen: list[Record] = []
        async with asyncio.timeout(30):
            await kafka.drain(consumer, lambda: bool(kafka.observed.cannot_read) and len(seen) == 3, into=seen)
        assert [r.value for r in seen if r.partition == 0] == [b"first"]
        assert [r.value for r in seen if r.partition == 1] == [b"x", b"y"]
        [reason] = kafka.observed.cannot_read.values()
        assert reason.startswith("at offset 1: the batch is corrupt")
        assert "docs/kafka.md" in reason
        damage(folder, kafka.kafka_topic, b"bro\x00en", b"broken")
        async with asyncio.timeout(20):
            await kafka.drain(consumer, lambda: len(seen) >= 5, into=seen)
        assert [r.value for r in seen if r.partition == 0] == [b"first", b"broken", b"last"]
        await consumer.close()


@pytest.mark.slow
@pytest.mark.parametrize("codec_name", CODECS)
async def test_a_damaged_payload_with_a_right_checksum_is_no_error_of_ours(
    database: Database, own_broker: tuple[str, Path], codec_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each decompressor has errors of its own; none of them ends the reader."""
    bootstrap, _ = own_broker
    async with running(kafka_bus(database, bootstrap), database) as kafka:
        await kafka.with_topic(2)
        await mixed(kafka, codec_name)
        decode = getattr(default_records, f"{codec_name}_decode")

        def broken(data: bytes) -> bytes:
            return bytes(decode(bytes(data)[: len(data) // 2] + b"\xff" * 8))

        monkeypatch.setattr(default_records, f"{codec_name}_decode", broken)
        consumer = kafka.consumer()
        seen: list[Record] = []
        async with asyncio.timeout(30):
            await kafka.drain(consumer, lambda: bool(kafka.observed.cannot_read) and len(seen) == 7, into=seen)
        assert [r.key for r in seen if r.partition == 0] == ["a", "b"]
        monkeypatch.undo()
        async with asyncio.timeout(20):
            await kafka.drain(consumer, lambda: len(seen) >= 10, into=seen)
        assert [r.key for r in seen if r.partition == 0] == list("abcde")
        await consumer.close()


async def test_a_partition_without_a_leader_holds_up_itself_only(transport_mock: Transport) -> None:
    kafka, mock = transport_mock, transport_mock.mock
    assert mock is not None
    await kafka.with_topic(3)
    async with producer(bootstrap_of(kafka)) as plain:
        for slot in range(3):
            await plain.send_and_wait(kafka.kafka_topic, b"1", f"k{slot}".encode(), partition=slot)
    mock.lead(kafka.kafka_topic, 0, -1)
    consumer = kafka.consumer()
    seen: list[Record] = []
    async with asyncio.timeout(40):
        await kafka.drain(consumer, lambda: len(seen) >= 2, into=seen)
    assert {record.partition for record in seen} == {1, 2}
    assert await consumer.lag() == 0
    assert kafka.observed.cannot_read == {f"{kafka.topic}[0] for {kafka.group}": NO_LEADER}
    mock.lead(kafka.kafka_topic, 0, 1)
    async with asyncio.timeout(40):
        await kafka.drain(consumer, lambda: len(seen) >= 3, into=seen)
    assert kafka.observed.cannot_read == {}
    mock.lead(kafka.kafka_topic, 1, -1)  # one that is held
    async with producer(bootstrap_of(kafka)) as plain:
        await plain.send_and_wait(kafka.kafka_topic, b"2", b"k2", partition=2)
    async with asyncio.timeout(40):
        await kafka.drain(consumer, lambda: len(seen) >= 4, into=seen)
        while not kafka.observed.cannot_read:
            await consumer.lag()
    await consumer.close()


async def test_a_partition_that_gives_nothing_although_there_is_something_is_reported(
    kafka: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secondlook.common.bus.kafka_consumer.SILENT_SECONDS", 0.2)
    await kafka.with_topic(1)
    await kafka.send(kafka.message("k", "1"))
    consumer = kafka.consumer()
    assert isinstance(consumer, KafkaConsumer)
    seen: list[Record] = []
    async with asyncio.timeout(30):
        await kafka.drain(consumer, lambda: len(seen) == 1, into=seen)
    assert consumer._consumer is not None
    consumer._consumer.pause(slot := TopicPartition(kafka.kafka_topic, 0))
    await kafka.send(kafka.message("k", "2"))
    async with asyncio.timeout(20):
        while not kafka.observed.cannot_read:
            assert await consumer.fetch(10, 0.1) is None
            await consumer.lag()
    [reason] = kafka.observed.cannot_read.values()
    assert "gives nothing at offset 1, though it ends at 2" in reason
    consumer._consumer.resume(slot)
    async with asyncio.timeout(20):
        await kafka.drain(consumer, lambda: len(seen) == 2, into=seen)
        while kafka.observed.cannot_read:
            await consumer.lag()
    await consumer.close()
