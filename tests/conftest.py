"""A real PostgreSQL for every test that wants one: one server a run, one database a test, cloned from a template."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from services.cli.embedded import embedded_postgres
from services.cli.migrate import migrate_schemas

TEMPLATE = "second_look_template"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of an empty PostgreSQL server, with `{database}` to fill in."""
    # Not under pytest's own folder: every pytest that starts closes that to other users, PostgreSQL's among them.
    with TemporaryDirectory(prefix="second-look-") as folder, embedded_postgres(Path(folder) / "postgres") as server:
        yield server.url.replace("/postgres?", "/{database}?")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory for `secondlook up`."""
    with TemporaryDirectory(prefix="second-look-") as folder:
        yield Path(folder)


@pytest.fixture
def port() -> int:
    """The first of three free ports, below those that clients are given and apart from other test processes'."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        first = random.randrange(12_000 + 1_000 * process, 12_900 + 1_000 * process)
        if all(_is_free(first + offset) for offset in range(3)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


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
