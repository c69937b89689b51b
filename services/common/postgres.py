"""PostgreSQL: one pool a process, one schema a service, migrations as numbered `.sql` files."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic_core import from_json, to_json

from secondlook.common.errors import ConfigurationError

COMMON = Path(__file__).parent
KERNEL = COMMON / "migrations"
BUS = COMMON / "bus" / "migrations"

CLOSE_SECONDS = 3.0
IDLE_IN_TRANSACTION = "15s"
JSONB_VERSION = b"\x01"  # the first byte of PostgreSQL's binary format

APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name       text        PRIMARY KEY,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""

# What may pass by waiting: the server is away, restarting, full, or chose this transaction to give way.
TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when a connection ends between two messages
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[Row] | PoolConnectionProxy[Row]"
Queryable: TypeAlias = "Connection | asyncpg.Pool[Row]"  # for single statements that need no transaction


class Database:
    """A service's connections. Unqualified names resolve to the service's own schema."""

    def __init__(self, url: str, schema: str, pool: "asyncpg.Pool[Row]") -> None:
        self._url, self.schema, self.pool = url, schema, pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, schema: str, *, size: int = 8) -> AsyncIterator["Database"]:
        """A pool that is closed on leaving.

        Raises:
            ConfigurationError: the server cannot be reached, the URL is wrong, or the schema is not there.
        """
        try:
            pool = await asyncpg.create_pool(url, min_size=1, max_size=size, init=_decode_json, **_options(schema))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConfigurationError(
                f"cannot connect to PostgreSQL: {error} (check SECONDLOOK_DATABASE_URL)"
            ) from error
        try:
            if await pool.fetchval("SELECT to_regclass('schema_migration')") is None:
                raise ConfigurationError(f"the database has no schema {schema!r} yet: run `secondlook migrate`")
            yield cls(url, schema, pool)
        finally:
            # Connections that are being given back are waited for; a server that does not answer is not.
            try:
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    async def connect(self) -> "asyncpg.Connection[Row]":
        """A connection of its own, for session locks and LISTEN. The caller closes it."""
        connection: asyncpg.Connection[Row] = await asyncpg.connect(self._url, **_options(self.schema))
        await _decode_json(connection)
        return connection


async def _decode_json(connection: Connection) -> None:
    """A `jsonb` goes in and comes out as the Python value. A `json` stays text: it is kept to the letter,
    and so do the elements of a `jsonb[]`, for which asyncpg takes no codec."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary",  # COPY knows no other
        encoder=lambda value: JSONB_VERSION + to_json(value), decoder=lambda data: from_json(data[1:]),
    )  # fmt: skip


async def fetch_one(connection: Queryable, query: str, *arguments: Any) -> Row:
    """The row of a query that always has one, such as a total."""
    row = await connection.fetchrow(query, *arguments)
    if row is None:
        raise LookupError(f"no row from: {query.strip()}")
    return row


def _options(schema: str) -> dict[str, Any]:
    # Timeouts: a vanished server must surface as an error, not as a wait without end. And for the server: a client that
    # stopped or was cut off in a transaction must not keep its locks from those who took over.
    return {
        "server_settings": {
            "search_path": schema,
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
        "timeout": 10,
        "command_timeout": 60,
    }


async def migrate(url: str, schema: str, folders: Sequence[Path]) -> list[str]:
    """Bring a schema up to date; returns the names of the migrations that were applied.

    One transaction under an advisory lock: several processes may call it at once, and a failure changes nothing.

    Raises:
        ConfigurationError: the server cannot be reached, or a file that was applied has been changed since.
    """
    try:
        connection = await asyncpg.connect(url, **_options(schema))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ConfigurationError(f"cannot connect to PostgreSQL: {error} (check SECONDLOOK_DATABASE_URL)") from error
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('second-look/migrate'))")
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await connection.execute(APPLIED)
            applied = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT * FROM schema_migration")}
            return await _apply(connection, _read(folders), applied)
    finally:
        await connection.close()


def _read(folders: Sequence[Path]) -> list[tuple[str, str]]:
    files = [file for folder in folders for file in sorted(folder.glob("*.sql"))]
    return [(f"{file.parent.parent.name}/{file.name}", file.read_text(encoding="utf-8")) for file in files]


async def _apply(connection: Connection, files: Sequence[tuple[str, str]], applied: dict[str, str]) -> list[str]:
    fresh = []
    for name, sql in files:
        sha256 = hashlib.sha256(sql.encode()).hexdigest()
        if name not in applied:
            await connection.execute(sql)
            await connection.execute("INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)", name, sha256)
            fresh.append(name)
        elif applied[name] != sha256:
            raise ConfigurationError(f"migration {name} was changed after it was applied; add a new file instead")
    return fresh
