"""The system under test: one PostgreSQL, one Kafka, three routers, two reviewer APIs and a relay, behind proxies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
from pydantic import SecretStr

from secondlook.cli.local.embedded import EmbeddedPostgres, embedded_postgres
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import BundlePublished
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import ConfigurationError
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings
from secondlook.reviewer_api.policies.service import PolicyService
from tests.faults.process import HOST, Service, free_port
from tests.faults.proxy import Proxy
from tests.faults.router import SCHEME
from tools.kafka.broker import Broker

PARTITIONS = 6
ROUTERS = 3
SESSION_SECONDS = 3
MODEL_SECONDS = 0.05
REVIEWERS = 3
POLICY = """
name: faults
labels:
  spam: {description: Advertising}
  scam: {description: Fraud, severity: 5, quorum: 2}
audit: {certify: 0.1}
review: {max_returns: 100000, others_first_minutes: 0}  # reviewers here give back much, and all is to be judged soon
"""
SETTINGS = {
    "SECONDLOOK_BUS": "kafka",
    "SECONDLOOK_PARTITIONS": str(PARTITIONS),
    "SECONDLOOK_BATCH_SIZE": "32",
    "SECONDLOOK_KAFKA_SESSION_SECONDS": str(SESSION_SECONDS),
    "SECONDLOOK_UNDO_GRACE_SECONDS": "1",
    "SECONDLOOK_LEASE_SECONDS": "4",
}


@dataclass
class Postgres:
    """The server, reached by its socket (`url`) or through the proxy."""

    server: EmbeddedPostgres
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def socket(self) -> str:
        return parse_qs(urlsplit(self.url).query)["host"][0] + "/.s.PGSQL.5432"

    def kill(self) -> None:
        """kill -9, the server and all its children. Blocks until they are gone."""
        main = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        everyone = [main, *main.children(recursive=True)]
        for process in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everyone, timeout=10)

    async def start_again(self) -> None:
        """Until it runs; what is left of the dead one may still be ending."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ConfigurationError):
                    await asyncio.to_thread(self.server.start_again)
                    return
                await asyncio.sleep(0.2)


@dataclass
class System:
    """Everything that runs. `kafka` and `postgres_proxy` stand between the services and what they need."""

    folder: Path
    postgres: Postgres
    postgres_proxy: Proxy
    broker: Broker
    kafka: Proxy
    client: httpx.AsyncClient
    routers: list[Service] = field(default_factory=list)
    apis: list[Service] = field(default_factory=list)
    relays: list[Service] = field(default_factory=list)
    upstream_key: str = ""
    reviewer_keys: list[str] = field(default_factory=list)

    @property
    def services(self) -> list[Service]:
        return [*self.relays, *self.routers, *self.apis]

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.kafka.port}"

    def settings(self) -> CommonSettings:
        url = SecretStr(self.postgres.url)
        return CommonSettings(database_url=url, bus="kafka", kafka_bootstrap=self.bootstrap, partitions=PARTITIONS)

    def service(self, kind: str, number: int) -> Service:
        """A service process that is not running yet."""
        modules = {"router": "tests.faults.router", "api": "secondlook.reviewer_api", "relay": "tests.faults.relay"}
        module = modules[kind]
        port = free_port()
        environment = {
            **SETTINGS,
            "SECONDLOOK_DATABASE_URL": f"postgresql://postgres@{HOST}:{self.postgres_proxy.port}/postgres",
            "SECONDLOOK_KAFKA_BOOTSTRAP": self.bootstrap,
            "SECONDLOOK_ROUTER_PORT": str(port),
            "SECONDLOOK_API_PORT": str(port),
        }
        return Service(f"{kind}-{number}", module, environment, self.folder, port)

    async def ready(self) -> None:
        """Until every service says so; raises TimeoutError."""
        await asyncio.gather(*(service.ready(self.client) for service in [*self.routers, *self.apis]))


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    """A system that is ready, with a policy and a bundle in force. Nothing of it is left afterwards.

    Raises:
        BrokerUnavailable: no Kafka can run here.
        TimeoutError: it does not get ready.
    """
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(embedded_postgres(folder / "postgres"))
        postgres = Postgres(server, folder / "postgres")
        postgres_proxy = Proxy(free_port(), lambda: asyncio.open_unix_connection(postgres.socket))
        port, kafka_port = free_port(), free_port()
        kafka = Proxy(kafka_port, lambda: asyncio.open_connection(HOST, port))
        advertised = {"advertised.listeners": f"PLAINTEXT://{HOST}:{kafka_port}"}
        broker = Broker(folder / "kafka", port=port, quick=True, settings=advertised)
        stack.callback(broker.kill)
        await asyncio.gather(asyncio.to_thread(broker.start), migrate_schemas(postgres.url))
        for proxy in (postgres_proxy, kafka):
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=3))
        system = System(folder, postgres, postgres_proxy, broker, kafka, client)
        await _put_in_force(system)
        system.routers += [system.service("router", number) for number in range(ROUTERS)]
        system.apis += [system.service("api", number) for number in range(2)]
        system.relays += [system.service("relay", 0)]
        for service in system.services:
            stack.push_async_callback(service.down)
            await service.start()
        await system.ready()
        yield system


async def use_model(system: System, seconds: float) -> None:
    """Publish a bundle whose model takes so long for a batch."""
    async with _speaking(system, "trainer") as (_, transactions), transactions.begin() as work:
        work.publish(
            BundlePublished(
                stage="active", bundle_version=f"takes-{seconds:g}", uri=f"{SCHEME}{seconds}", sha256="0" * 64,
                published_at=datetime.now(UTC),
            )
        )  # fmt: skip


async def _put_in_force(system: System) -> None:
    """Publish a policy and a bundle as their services do, and make the keys."""
    clock = SystemClock()
    async with _speaking(system, "router") as (database, _):
        await KafkaBus(database, system.settings()).ensure_topics(topics(PARTITIONS))
        system.upstream_key = await ApiKeys(database, clock).create("upstream", "upstream")
    async with _speaking(system, "reviewer") as (database, transactions):
        await PolicyService(transactions).publish(parse_policy(POLICY), "test")
        keys = ApiKeys(database, clock)
        system.reviewer_keys = [await keys.create(f"reviewer {n}", "reviewer") for n in range(REVIEWERS)]
        system.reviewer_keys.append(await keys.create("lead", "lead"))
    await use_model(system, MODEL_SECONDS)


@contextlib.asynccontextmanager
async def _speaking(system: System, schema: str) -> AsyncIterator[tuple[Database, Transactions]]:
    """A service's side of the database; what the block publishes is on Kafka afterwards."""
    async with Database.open(system.postgres.url, schema, size=3) as database:
        bus = KafkaBus(database, system.settings())
        yield database, Transactions(database, bus, SystemClock(), schema)
        await _relay(bus, database)


class _Unobserved:
    def sent(self, messages: int) -> None: ...

    def backlog(self, messages: int, seconds: float) -> None: ...

    def waiting(self, reason: str | None) -> None: ...

    def unreadable(self, partitions: Mapping[str, str]) -> None: ...

    def signatures(self, checked: bool) -> None: ...

    def refused(self, topic: str, reason: str) -> None: ...


async def _relay(bus: KafkaBus, database: Database) -> None:
    """Run a relay until its outbox is empty."""
    relay = asyncio.create_task(bus.run(_Unobserved()))
    try:
        async with asyncio.timeout(30):
            while await database.pool.fetchval("SELECT EXISTS (SELECT FROM outbox)"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
