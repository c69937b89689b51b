"""Schemas are brought up to date as a whole or not at all, and a database of a newer version is left alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import asyncpg
import pytest

from secondlook.common.errors import ConfigurationError
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.schemas import SCHEMAS, migration_names
from tests.integration.cli_world import secondlook
from tests.integration.process_world import started

NEWER = "the database belongs to a newer version of Second Look .it has migration trainer/9002_later.sql."


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def structure(connection: "asyncpg.Connection[asyncpg.Record]") -> list[tuple[str, ...]]:
    """Every column there is, and every migration that was applied."""
    columns = await connection.fetch(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = ANY($1) ORDER BY 1, 2, 3",
        list(SCHEMAS),
    )
    applied = [
        (schema, *row)
        for schema in SCHEMAS
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.schema_migration") is not None
        for row in await connection.fetch(f"SELECT name, sha256 FROM {schema}.schema_migration ORDER BY 1")  # noqa: S608
    ]
    return [tuple(row) for row in columns] + applied


async def upgrade_elsewhere(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """What a newer version leaves in the schema of the last service."""
    for day, name in enumerate(("9001_new.sql", "9002_later.sql")):
        at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=day)
        await connection.execute(
            "INSERT INTO trainer.schema_migration (name, sha256, applied_at) VALUES ($1, 'x', $2)",
            f"trainer/{name}",
            at,
        )


async def test_a_database_of_a_newer_version_is_named_and_left_alone(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await upgrade_elsewhere(connection)
    await connection.execute("DELETE FROM router.schema_migration WHERE name LIKE 'router/%'")  # would be applied
    before = await structure(connection)
    with pytest.raises(ConfigurationError, match=NEWER):
        await migrate_schemas(database_url)
    with pytest.raises(ConfigurationError, match=NEWER):
        await migrate_schemas(database_url, {"trainer": SCHEMAS["trainer"]})
    with pytest.raises(ConfigurationError, match=NEWER):
        async with Database.open(database_url, "trainer"):
            pytest.fail("it must not open")
    assert await structure(connection) == before
    async with Database.open(database_url, "reviewer"):
        """A schema without a newer migration is as this version knows it."""


@pytest.mark.parametrize("command", [["migrate"], ["train", "--no-wait"], ["bundle", "list"]], ids=" ".join)
async def test_a_command_says_in_one_line_that_the_database_is_newer(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", command: list[str]
) -> None:
    await upgrade_elsewhere(connection)
    before = await structure(connection)
    ran = await secondlook(database_url, *command)
    assert (ran.status, ran.out) == (2, "")
    assert re.match(f"error: {NEWER}", ran.err)
    assert ran.err.count("\n") == 1
    assert await structure(connection) == before
    doctor = await secondlook(database_url, "doctor")
    assert re.search(NEWER, " ".join(doctor.out.split()))


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
@pytest.mark.parametrize("command", [["bundle", "list"], ["policy", "show"], ["keys", "list"]], ids=" ".join)
async def test_a_command_refuses_a_database_whichever_schema_is_newer(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", schema: str, command: list[str]
) -> None:
    newer = f"INSERT INTO {schema}.schema_migration VALUES ('trainer/9002_later.sql', 'x')"  # noqa: S608
    await connection.execute(newer)
    ran = await secondlook(database_url, *command)
    assert (ran.status, ran.out) == (2, "")
    assert re.match(f"error: {NEWER}", ran.err)


async def test_a_service_writes_to_no_bus_of_a_newer_version(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await connection.execute("INSERT INTO bus.schema_migration VALUES ('trainer/9002_later.sql', 'x')")
    for schema in SCHEMAS:
        with pytest.raises(ConfigurationError, match=NEWER):
            async with Database.open(database_url, schema):
                pytest.fail("it must not open")


async def test_a_service_says_in_one_line_that_the_database_is_newer(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", port: int
) -> None:
    await connection.execute("INSERT INTO router.schema_migration VALUES ('trainer/9002_later.sql', 'x')")
    async with started("router", database_url, port) as process:
        _, told = await process.communicate()
    assert process.returncode == 2
    assert re.match(f"router: {NEWER}", told.decode())
    assert told.count(b"\n") == 1


async def test_a_failure_in_the_last_schema_leaves_the_first_as_it_was(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bus" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0002_more.sql").write_text("CREATE TABLE more (id int)")
    before = await structure(connection)
    await connection.execute("UPDATE trainer.schema_migration SET sha256 = 'other' WHERE name LIKE 'common/0001%'")
    changed = await structure(connection)
    assert changed != before
    monkeypatch.setitem(SCHEMAS, "bus", [*SCHEMAS["bus"], folder])
    with pytest.raises(ConfigurationError, match=r"migration common/0001_\w+.sql was changed after it was applied"):
        await migrate_schemas(database_url)
    assert await structure(connection) == changed


async def test_processes_that_start_together_migrate_once(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    before = await structure(connection)
    for schema in SCHEMAS:
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    found = await asyncio.gather(*(migrate_schemas(database_url) for _ in range(4)))
    for schema, folders in SCHEMAS.items():
        assert sorted(len(applied[schema]) for applied in found) == [0, 0, 0, len(migration_names(folders))]
    assert await structure(connection) == before


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
async def test_a_database_of_any_version_before_is_brought_up_to_date(
    database_url: str, connection: "asyncpg.Connection[asyncpg.Record]", schema: str, tmp_path: Path
) -> None:
    """From each number of migrations that a version may have had, the result is that of a new database."""
    before = await structure(connection)
    files = [file for folder in SCHEMAS[schema] for file in sorted(folder.glob("*.sql"))]
    for shipped in range(1, len(files)):
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        older = [copied(file, tmp_path / str(shipped)) for file in files[:shipped]]
        folders = list(dict.fromkeys(file.parent for file in older))
        assert (await migrate_schemas(database_url, {schema: folders}))[schema] == migration_names(folders)
        async with Database.open(database_url, schema, size=1):
            """A version that starts before `secondlook migrate` ran finds its schema."""
        assert (await migrate_schemas(database_url))[schema] == migration_names(SCHEMAS[schema])[shipped:]
        assert await structure(connection) == before


def copied(file: Path, root: Path) -> Path:
    folder = root / file.parent.parent.name / "migrations"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(copy(file, folder))
