"""A real PostgreSQL for every test that wants one: one server a run, one database a test, cloned from a template."""

import asyncio
import secrets
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
