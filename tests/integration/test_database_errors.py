"""PostgreSQL that cannot be reached is told from other trouble of the operating system, at one place."""

import errno
import socket
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from secondlook.common import postgres
from secondlook.common.errors import ConfigurationError, DatabaseUnavailable
from secondlook.common.postgres import TRANSIENT, Database, connect
from tests.waiting import until


@pytest.mark.parametrize(
    "trouble",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        FileNotFoundError(errno.ENOENT, "no such socket"),
        PermissionError(errno.EACCES, "no access to the socket"),
        OSError(errno.EHOSTUNREACH, "no route to host"),
        OSError(errno.EMFILE, "too many open files"),
        socket.gaierror(socket.EAI_NONAME, "name not known"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__ + str(error.errno or ""),
)
async def test_whatever_the_system_says_of_a_connection_is_one_error(
    database_url: str, trouble: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the pool of a service that runs, and on a connection of its own; at the start it is a setting to correct."""
    async with Database.open(database_url, "router", size=1) as database:
        await database.pool.expire_connections()

        async def refuse(*_: Any, **__: Any) -> None:
            raise trouble

        with monkeypatch.context() as patched:
            patched.setattr(asyncpg, "connect", refuse)
            for attempt in (database.pool.fetchval("SELECT 1"), database.connect(), connect(database_url, "router")):
                with pytest.raises(DatabaseUnavailable, match=r"^cannot connect to PostgreSQL: .") as raised:
                    await attempt
                assert raised.value.__cause__ is trouble
                assert isinstance(raised.value, TRANSIENT)
            with pytest.raises(ConfigurationError, match="SECONDLOOK_DATABASE_URL"):
                async with Database.open(database_url, "router"):
                    pass
        assert await database.pool.fetchval("SELECT 1") == 1


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for url in ("postgresql://postgres@127.0.0.1:1/x", f"postgresql://postgres@/x?host={tmp_path}"):
        with pytest.raises(DatabaseUnavailable) as raised:
            await connect(url, "router")
        assert isinstance(raised.value.__cause__, OSError)


async def test_a_connection_that_ends_between_two_statements_can_be_waited_for(database_url: str) -> None:
    async with Database.open(database_url, "router", size=2) as database:
        connection = await database.connect()
        await database.pool.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        await until(connection.is_closed)
        with pytest.raises(TRANSIENT):
            await connection.fetchval("SELECT 1")


@pytest.mark.parametrize("value", [2**40, "\ud800"])
async def test_a_value_that_does_not_fit_is_not_waited_for(database_url: str, value: object) -> None:
    connection = await postgres.connect(database_url, "router")
    try:
        with pytest.raises(asyncpg.DataError) as raised:
            await connection.fetchval(f"SELECT $1::{'int' if isinstance(value, int) else 'text'}", value)
        assert not isinstance(raised.value, TRANSIENT)
    finally:
        await connection.close()
