"""A real PostgreSQL for every test that wants one: one server a run, one database a test, cloned from a template."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from hypothesis import settings

from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.migrate import migrate_schemas
from tests.kafka_world import MockKafka, SecureBroker, bootstrap_servers, secured_broker
from tests.ports import first_of_three
from tests.requirements import left_out
from tests.shared import shared

TEMPLATE = "second_look_template"
# A busy machine may make one example slow, and that is no fault of what is tested.
settings.register_profile("second-look", deadline=None)
settings.load_profile("second-look")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of an empty PostgreSQL server, with `{database}` to fill in.

    It leaves writing to the disk to the operating system: what it commits survives its death, as in production, but
    not a power cut. Most of the time of a test that wants a database went into that.
    """
    # Not under pytest's own folder: every pytest that starts closes that to other users, PostgreSQL's among them.
    with TemporaryDirectory(prefix="second-look-") as folder, embedded_postgres(Path(folder) / "postgres") as server:
        url = server.url.replace("/postgres?", "/{database}?")
        asyncio.run(_leave_the_disk_alone(url.format(database="postgres")))
        yield url


async def _leave_the_disk_alone(url: str) -> None:
    admin = await asyncpg.connect(url)
    for setting in ("fsync", "full_page_writes"):
        await admin.execute(f"ALTER SYSTEM SET {setting} = off")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.close()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory for `secondlook up`."""
    with TemporaryDirectory(prefix="second-look-") as folder:
        yield Path(folder)


@pytest.fixture
def port() -> int:
    """The first of three free ports."""
    return first_of_three()


@pytest.fixture(scope="session")
def template(postgres_server: str) -> str:
    async def build() -> None:
        admin = await asyncpg.connect(postgres_server.format(database="postgres"))
        await admin.execute(f"CREATE DATABASE {TEMPLATE}")
        await admin.close()
        await migrate_schemas(postgres_server.format(database=TEMPLATE))

    asyncio.run(build())
    return TEMPLATE


@pytest.fixture
async def database_url(postgres_server: str, template: str) -> AsyncIterator[str]:
    """URL of a migrated database of this test's own."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(postgres_server.format(database="postgres"))
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield postgres_server.format(database=name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def kafka_bootstrap(run_folder: Path) -> Iterator[str]:
    """Address of a real Kafka: SECONDLOOK_KAFKA_BOOTSTRAP, or one started for this run. Topics are shared."""
    with shared(run_folder, "kafka", bootstrap_servers) as address:
        yield address


@pytest.fixture(scope="session")
def secure_broker(run_folder: Path) -> Iterator[SecureBroker]:
    """A real Kafka with passwords and certificates, one for this run. Topics are shared."""
    with shared(run_folder, "secured-kafka", secured_broker) as broker:
        yield broker


@pytest.fixture
def mock_kafka() -> Iterator[MockKafka]:
    """Three brokers of librdkafka's mock, to make them fail on demand."""
    with MockKafka(3) as cluster:
        yield cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a real Kafka is slow."""
    for item in items:
        if {"kafka_bootstrap", "secure_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say last which tests this machine could not run."""
    yield
    for line in left_out(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session")
def encoder_cache(run_folder: Path) -> Path:
    """Where exported encoders are kept, for all tests of this run; an export is atomic."""
    folder = run_folder / "encoders"
    folder.mkdir(exist_ok=True)
    return folder
