"""What bench.router runs on: PostgreSQL, Kafka, both filled with the same records, and router processes."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from secondlook.common.bus import Message
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentDecided, ContentSubmitted
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings

PARTITIONS = 4
PORT = 18_300
SLOTS = [TopicPartition(ContentDecided.topic, number) for number in range(PARTITIONS)]
LIMIT_SECONDS = 300.0

ROUTED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM router.consumer_position WHERE topic = $1"
RELAYED = "SELECT NOT EXISTS (SELECT FROM router.outbox)"
DECIDED = "SELECT count(*) FROM router.revision WHERE route IN ('approve', 'reject')"
ON_LOG = "SELECT sum(next_offset)::bigint FROM bus.partition WHERE topic = $1"


@dataclass(frozen=True, slots=True)
class World:
    """A PostgreSQL server with a template database a transport, and a Kafka. `server` has `{database}` to fill in."""

    server: str
    bootstrap: str

    @asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """URL of a fresh copy of a template, dropped afterwards."""
        name = f"{template}_run"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        await self._admin("CHECKPOINT")  # not in the middle of a measurement
        try:
            yield self.server.format(database=name)
        finally:
            await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server.format(database="postgres"))
        await connection.execute(statement)
        await connection.close()

    async def prepare(self, template: str, messages: Sequence[Message]) -> None:
        """Make a template database whose log holds `messages`."""
        await self._admin(f"CREATE DATABASE {template}")
        url = self.server.format(database=template)
        await migrate_schemas(url)
        async with Database.open(url, "router", size=2) as database:
            bus = PostgresBus(database)
            await bus.ensure_topics(topics(PARTITIONS))
            transactions = Transactions(database, bus, SystemClock(), "bench")
            for start in range(0, len(messages), 1_000):
                async with transactions.begin() as work:
                    work.messages.extend(messages[start : start + 1_000])
            await database.pool.execute("VACUUM (ANALYZE)")

    async def fill_kafka(self, template: str, messages: Sequence[Message]) -> None:
        """Make the topics and send `messages`."""
        url = self.server.format(database=template)
        settings = CommonSettings(database_url=SecretStr(url), kafka_bootstrap=self.bootstrap)
        async with Database.open(url, "router", size=2) as database:
            await KafkaBus(database, settings).ensure_topics(topics(PARTITIONS))
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5) as producer:
            for message in messages:
                headers = [(name, value.encode()) for name, value in message.headers.items()]
                await producer.send(message.topic, message.value, message.key.encode(), headers=headers)

    async def on_kafka(self) -> int:
        """Decisions on Kafka, of all runs."""
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
            return sum((await consumer.end_offsets(SLOTS)).values())

    async def route(
        self, template: str, total: int, *, module: str, kafka: bool, routers: int = 1, batch: int, skip: float
    ) -> float:
        """Items a second through router processes, from when a share of `skip` is done until everything is on the log.

        Raises:
            RuntimeError: a router ended, or it takes too long, or the log does not hold each decision once.
        """
        async with self.database(template) as url:
            before = await self.on_kafka() if kafka else 0
            environment = {
                "SECONDLOOK_DATABASE_URL": url,
                "SECONDLOOK_BUS": "kafka" if kafka else "postgres",
                "SECONDLOOK_KAFKA_BOOTSTRAP": self.bootstrap,
                "SECONDLOOK_BATCH_SIZE": str(batch),
                "SECONDLOOK_LOG_LEVEL": "warning",
            }
            connection = await asyncpg.connect(url)
            with processes(module, routers, environment) as running:
                rate = await _watch(connection, running, total, skip)
            decided = await connection.fetchval(DECIDED)
            on_log = await self.on_kafka() if kafka else await connection.fetchval(ON_LOG, ContentDecided.topic)
            await connection.close()
            if on_log - before != decided:
                raise RuntimeError(f"{decided} decisions, and {on_log - before} on the log")
            return rate


async def _watch(
    connection: asyncpg.Connection, running: Sequence["subprocess.Popen[bytes]"], total: int, skip: float
) -> float:
    began, first, at_first = time.monotonic(), 0.0, 0
    while True:
        routed = await connection.fetchval(ROUTED, ContentSubmitted.topic)
        now = time.monotonic()
        if not at_first and routed >= skip * total:
            first, at_first = now, routed
        if routed >= total and await connection.fetchval(RELAYED):
            return float(total - at_first) / (time.monotonic() - first)
        if any(process.poll() is not None for process in running) or now - began > LIMIT_SECONDS:
            raise RuntimeError(f"{routed} of {total} are routed, and it does not go on")
        await asyncio.sleep(0.02)


@contextmanager
def processes(
    module: str, number: int, environment: Mapping[str, str]
) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    """Router processes, stopped on leaving."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, **environment, "SECONDLOOK_ROUTER_PORT": str(PORT + index)},
            cwd=Path(__file__).parent.parent,
        )
        for index in range(number)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
