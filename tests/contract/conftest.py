"""The transports that the contract suite runs over."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from secondlook.common.bus import Batch, Bus, Consumer, Message, Record, Topic
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.clock import SystemClock
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings
from tests.kafka_world import MockKafka


@dataclass
class Observed:
    """What the transport reported of its own work."""

    messages: int = 0
    reasons: list[str] = field(default_factory=list)
    behind: int = -1
    cannot_read: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def sent(self, messages: int) -> None:
        self.messages += messages

    def backlog(self, messages: int, seconds: float) -> None:
        self.behind = messages

    def waiting(self, reason: str | None) -> None:
        self.reasons += [reason] if reason else []

    def unreadable(self, partitions: Mapping[str, str]) -> None:
        self.cannot_read = dict(partitions)

    def signatures(self, checked: bool) -> None: ...

    def refused(self, topic: str, reason: str) -> None:
        self.refusals += [(topic, reason)]


@dataclass
class Transport:
    """A bus with a topic and a group of this test's own, and its work running."""

    bus: Bus
    database: Database
    observed: Observed
    mock: MockKafka | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def topic(self) -> str:
        return f"contract-{self.token}"

    @property
    def kafka_topic(self) -> str:
        """What Kafka calls it."""
        return f"test.{self.topic}"

    @property
    def group(self) -> str:
        return f"readers-{self.token}"

    @property
    def transactions(self) -> Transactions:
        return Transactions(self.database, self.bus, SystemClock(), "test")

    async def with_topic(self, partitions: int, *, compacted: bool = False) -> None:
        if self.mock is not None:  # it has no request that creates topics
            self.mock.create_topic(self.kafka_topic, partitions)
        await self.bus.ensure_topics([Topic(self.topic, partitions, compacted)])

    def message(self, key: str, value: str, headers: dict[str, str] | None = None) -> Message:
        return Message(self.topic, key, value.encode(), headers or {})

    async def send(self, *messages: Message) -> None:
        async with self.transactions.begin() as work:
            for message in messages:
                work.forward(message)

    def consumer(self, group: str = "") -> Consumer:
        return self.bus.consumer(group or self.group, [self.topic])

    async def fetch(self, consumer: Consumer, group: str = "") -> Batch:
        """The next batch there is; it takes a while until a new member of a group is given partitions."""
        async with asyncio.timeout(20):
            while (batch := await consumer.fetch(100, wait=1)) is None:
                pass
        return batch

    async def drain(
        self, consumer: Consumer, until: Callable[[], bool], into: list[Record] | None = None
    ) -> list[Record]:
        """Read and commit batches, into a list, until there is nothing left and `until` holds."""
        seen: list[Record] = [] if into is None else into
        while True:
            batch = await consumer.fetch(100, wait=0.3)
            if batch is None:
                if until():
                    return seen
                continue
            async with self.transactions.begin(self.group, batch):
                pass
            await consumer.done(batch)
            seen.extend(batch.records)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url, "router", size=24) as database:
        yield database


def kafka_bus(database: Database, bootstrap: str, **settings: Any) -> KafkaBus:
    """A bus on this cluster."""
    options = {
        "bus": "kafka",
        "kafka_bootstrap": bootstrap,
        "kafka_session_seconds": 6,
        "kafka_prefix": "test.",
        **settings,
    }
    return KafkaBus(database, CommonSettings(database_url=SecretStr("unused"), **options))


@contextlib.asynccontextmanager
async def running(bus: Bus, database: Database) -> AsyncIterator[Transport]:
    """A transport whose own work runs meanwhile."""
    observed = Observed()
    work = asyncio.create_task(bus.run(observed))
    try:
        yield Transport(bus, database, observed)
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


@contextlib.asynccontextmanager
async def producer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A foreign writer on this cluster."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@pytest.fixture
async def kafka(database: Database, kafka_bootstrap: str) -> AsyncIterator[Transport]:
    async with running(kafka_bus(database, kafka_bootstrap), database) as transport:
        yield transport


REAL = ["postgres", "kafka"]


@pytest.fixture(params=[*REAL, "mock"])
async def transport(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Transport]:
    """Every transport: embedded, on a real Kafka, and on librdkafka's mock of one.

    The mock has no rebalance that aiokafka survives: tests with several members leave it out by `real_only`.
    """
    bus: Bus = PostgresBus(database)
    mock: MockKafka | None = None
    if request.param == "kafka":
        bus = kafka_bus(database, request.getfixturevalue("kafka_bootstrap"))
    elif request.param == "mock":
        mock = request.getfixturevalue("mock_kafka")
        bus = kafka_bus(database, mock.bootstrap)
    async with running(bus, database) as transport:
        transport.mock = mock
        yield transport


@pytest.fixture
async def transport_mock(database: Database, mock_kafka: MockKafka) -> AsyncIterator[Transport]:
    """On librdkafka's mock alone, which fails on demand."""
    async with running(kafka_bus(database, mock_kafka.bootstrap), database) as transport:
        transport.mock = mock_kafka
        yield transport


real_only = pytest.mark.parametrize("transport", REAL, indirect=True)
