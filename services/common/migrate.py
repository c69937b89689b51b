"""Brings the database up to date: applies the migrations that a schema does not have yet."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Connection, connect, explained
from secondlook.common.schemas import APPLIED, SCHEMAS, migration_name, refuse_newer

LOCK = "SELECT pg_advisory_xact_lock(hashtext('second-look/migrate'))"
# All schemas migrate in one transaction: what it has locked must not wait for long behind somebody's query.
WAIT_SECONDS = 20
WAIT = f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"
CREATE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name       text        PRIMARY KEY,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = "INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)"


async def migrate_schemas(url: str, schemas: Mapping[str, Sequence[Path]] = SCHEMAS) -> dict[str, list[str]]:
    """Bring every schema up to date; returns the names of the migrations that were applied, by schema.

    Several processes may call it at once, and repeat it. A failure changes nothing, in no schema.

    Raises:
        ConfigurationError: the server cannot be reached, the database belongs to a newer version, or a migration was
            changed after it was applied.
    """
    async with _locked(url) as connection:
        applied = {schema: await _applied(connection, schema, folders) for schema, folders in schemas.items()}
        return {
            schema: await _apply(connection, schema, folders, applied[schema]) for schema, folders in schemas.items()
        }


@asynccontextmanager
async def _locked(url: str) -> AsyncIterator[Connection]:
    """A connection in the one transaction that migrates now."""
    with explained():
        connection = await connect(url, "public")
    try:
        async with connection.transaction():
            await connection.execute(LOCK)
            await connection.execute(WAIT)
            yield connection
    except asyncpg.LockNotAvailableError as error:
        raise ConfigurationError(
            f"a table was in use for {WAIT_SECONDS} s, so nothing was migrated: stop the services, or try again"
        ) from error
    finally:
        await connection.close()


async def _applied(connection: Connection, schema: str, folders: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each migration that was applied, by name."""
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    await connection.execute(f"SET LOCAL search_path = {schema}")
    await connection.execute(CREATE)
    applied = {row["name"]: row["sha256"] for row in await connection.fetch(APPLIED)}
    refuse_newer(applied, folders)
    return applied


async def _apply(connection: Connection, schema: str, folders: Sequence[Path], applied: Mapping[str, str]) -> list[str]:
    await connection.execute(f"SET LOCAL search_path = {schema}")
    fresh = []
    for file in [file for folder in folders for file in sorted(folder.glob("*.sql"))]:
        name, sql = migration_name(file), file.read_text(encoding="utf-8")
        sha256 = hashlib.sha256(sql.encode()).hexdigest()
        if name not in applied:
            await connection.execute(sql)
            await connection.execute(INSERT, name, sha256)
            fresh.append(name)
        elif applied[name] != sha256:
            raise ConfigurationError(f"migration {name} was changed after it was applied; add a new file instead")
    return fresh
