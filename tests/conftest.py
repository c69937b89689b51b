"""A real PostgreSQL for every test that wants one: one server a run, one database a test, cloned from a template."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from services.cli.embedded import embedded_postgres
from services.common.postgres import BUS, COMMON, KERNEL, migrate

SERVICES = COMMON.parent
TEMPLATE = "second_look_template"


async def migrate_all(url: str) -> None:
    """The schemas of all services, as `secondlook migrate` makes them."""
    await migrate(url, "bus", [BUS])
    for schema, folder in (("router", "router"), ("reviewer", "reviewer_api"), ("trainer", "trainer")):
        await migrate(url, schema, [KERNEL, SERVICES / folder / "migrations"])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an empty PostgreSQL server, with `{database}` to fill in."""
    with embedded_postgres(tmp_path_factory.mktemp("pg") / "data") as url:
        yield url.replace("/postgres?", "/{database}?")


@pytest.fixture(scope="session")
def template(postgres_server: str) -> str:
    async def build() -> None:
        admin = await asyncpg.connect(postgres_server.format(database="postgres"))
        await admin.execute(f"CREATE DATABASE {TEMPLATE}")
        await admin.close()
        await migrate_all(postgres_server.format(database=TEMPLATE))

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
