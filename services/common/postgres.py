"""PostgreSQL: one pool a process, one schema a service, migrations as numbered `.sql` files."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from secondlook.common.errors import ConfigurationError

COMMON = Path(__file__).parent
KERNEL = COMMON / "migrations"
BUS = COMMON / "bus" / "migrations"

CLOSE_SECONDS = 3.0
IDLE_IN_TRANSACTION = "15s"

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


class Database:
    """A service's connections. Unqualified names resolve to the service's own schema."""

    def __init__(self, url: str, schema: str, pool: asyncpg.Pool) -> None:
        self._url, self.schema, self.pool = url, schema, pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, schema: str, *, size: int = 8) -> AsyncIterator["Database"]:
        """A pool that is closed on leaving.

        Raises:
            ConfigurationError: the server cannot be reached, the URL is wrong, or the schema is not there.
        """
        try:
            pool = await asyncpg.create_pool(url, min_size=1, max_size=size, **_options(schema))
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

    async def connect(self) -> Any:
        """A connection of its own, for session locks and LISTEN. The caller closes it."""
        return await asyncpg.connect(self._url, **_options(self.schema))


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


async def _apply(connection: Any, files: Sequence[tuple[str, str]], applied: dict[str, str]) -> list[str]:
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
