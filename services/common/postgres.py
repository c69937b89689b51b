"""PostgreSQL: one pool a process, one schema a service, and which errors pass by waiting."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic_core import from_json, to_json

from secondlook.common.errors import ConfigurationError, DatabaseUnavailable, Overtaken, Unavailable
from secondlook.common.schemas import APPLIED, SCHEMAS, refuse_newer

CLOSE_SECONDS = 3.0
IDLE_IN_TRANSACTION = "15s"
JSONB_VERSION = b"\x01"  # the first byte of PostgreSQL's binary format

# What may pass by waiting: the server is away, restarting, full, or chose this transaction to give way. No other error
# of the operating system: a missing file or a full disk is not the database's, and waiting does not help.
TRANSIENT = (
    Unavailable,
    Overtaken,
    ConnectionError,
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

KEY_TAKEN = asyncpg.UniqueViolationError

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[Row] | PoolConnectionProxy[Row]"
Queryable: TypeAlias = "Connection | asyncpg.Pool[Row]"  # for single statements that need no transaction


class Database:
    """A service's connections. Unqualified names resolve to the service's own schema.

    What a session keeps beyond a transaction (session locks, LISTEN, SET) has no place on a connection of the pool: it
    takes one of `connect()`. A connection that comes back is used again as it is; an open transaction is rolled back.
    """

    def __init__(self, url: str, schema: str, pool: "asyncpg.Pool[Row]") -> None:
        self._url, self.schema, self.pool = url, schema, pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, schema: str, *, size: int = 8) -> AsyncIterator["Database"]:
        """A pool that is closed on leaving.

        Raises:
            ConfigurationError: the server cannot be reached, the URL is wrong, the schema is not there, or the database
                belongs to a newer version.
        """
        with explained():
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=size, connect=_connect, init=_decode_json, reset=_keep, **_options(schema)
            )
        try:
            if await pool.fetchval("SELECT to_regclass('schema_migration')") is None:
                raise ConfigurationError(f"the database has no schema {schema!r} yet: run `secondlook migrate`")
            await refuse_newer_schemas(pool, {schema, "bus"})  # whoever publishes writes to the bus, too
            yield cls(url, schema, pool)
        finally:
            # Wait for connections that are being returned, but not for a server that does not answer.
            try:
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    async def connect(self) -> "asyncpg.Connection[Row]":
        """A separate connection, for session locks and LISTEN. The caller closes it."""
        return await connect(self._url, self.schema)


async def refuse_newer_schemas(connection: Queryable, schemas: Iterable[str] = SCHEMAS) -> None:
    """Check that this version knows every migration of these schemas, as far as they are there.

    Raises:
        NewerDatabase: names the newest migration that it does not know.
    """
    for schema in sorted(schemas):
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.schema_migration") is not None:
            rows = await connection.fetch(APPLIED.replace("schema_migration", f"{schema}.schema_migration"))
            refuse_newer([row["name"] for row in rows], SCHEMAS[schema])


async def connect(url: str, schema: str) -> "asyncpg.Connection[Row]":
    """A connection whose unqualified names resolve to `schema`. The caller closes it.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
    """
    connection = await _connect(url, **_options(schema))
    await _decode_json(connection)
    return connection


async def _connect(dsn: str | None = None, **options: Any) -> "asyncpg.Connection[Row]":
    """The one place where connections are made, so the one that can tell the system's errors apart from others."""
    try:
        connection: asyncpg.Connection[Row] = await asyncpg.connect(dsn, **options)
    except OSError as error:  # refused, no such host or socket, no route, no answer in time, too many open files, …
        raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {str(error) or 'no answer in time'}") from error
    return connection


@contextmanager
def explained() -> Iterator[None]:
    """Turns every error of a process's first connection into a setting to correct.

    Raises:
        ConfigurationError: with the original error as its `__cause__`.
    """
    try:
        yield
    except DatabaseUnavailable as error:
        raise ConfigurationError(f"{error} (check SECONDLOOK_DATABASE_URL)") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ConfigurationError(f"cannot connect to PostgreSQL: {error} (check SECONDLOOK_DATABASE_URL)") from error


async def _decode_json(connection: Connection) -> None:
    """Make a `jsonb` go in and come out as a Python value. A `json` stays text, because it is kept to the letter; so do
    the elements of a `jsonb[]`, because asyncpg accepts no codec for them."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary",  # COPY knows no other
        encoder=lambda value: JSONB_VERSION + to_json(value), decoder=lambda data: from_json(data[1:]),
    )  # fmt: skip


async def _keep(_: Connection) -> None:
    """Nothing to undo: asyncpg's own reset takes a round trip more at every return of a connection."""


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
