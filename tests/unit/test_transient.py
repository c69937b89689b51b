"""One table: what each error means for a loop that repeats, for a route, and for a handler of the stream."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.bus import Batch, Consumer, Record, Span
from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentWithdrawn
from secondlook.common.errors import BusUnavailable, DatabaseUnavailable, Overtaken
from secondlook.common.observability import Health
from secondlook.common.postgres import TRANSIENT
from secondlook.common.service.http import create_app
from secondlook.common.service.lifecycle import repeat
from secondlook.common.service.stream import Item, Stream, StreamObserver
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork

TOPIC = ContentWithdrawn.topic
NOW = datetime(2025, 6, 1, tzinfo=UTC)


class Case(NamedTuple):
    error: Exception
    passes: bool  # a loop tries again, a route answers 503, a handler waits; else: ends, 500, dead letter
    name: str


def sqlstate(code: str, passes: bool) -> Case:
    error = asyncpg.PostgresError.new({"C": code, "M": "as PostgreSQL says", "S": "ERROR"})
    return Case(error, passes, f"sqlstate {code} {type(error).__name__}")


def system(error: OSError, passes: bool) -> Case:
    return Case(error, passes, f"{type(error).__name__} {errno.errorcode.get(error.errno or 0, '')}")


TABLE = [
    Case(DatabaseUnavailable("cannot connect to PostgreSQL: refused"), True, "no connection to PostgreSQL"),
    Case(BusUnavailable("Kafka is away"), True, "no connection to Kafka"),
    Case(Overtaken("another router was first"), True, "a row that another transaction wrote first"),
    system(ConnectionResetError(errno.ECONNRESET, "reset"), True),
    system(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True),
    system(BrokenPipeError(errno.EPIPE, "pipe"), True),
    Case(TimeoutError(), True, "TimeoutError, as of a statement"),
    Case(asyncpg.InterfaceError("connection is closed"), True, "InterfaceError, of a connection that was lost"),
    Case(asyncpg.InternalClientError("got result for unknown protocol state"), True, "InternalClientError"),
    sqlstate("08006", True),  # connection failure
    sqlstate("40001", True),  # serialization failure
    sqlstate("40P01", True),  # deadlock
    sqlstate("53100", True),  # the disk of the server is full
    sqlstate("53300", True),  # too many connections
    sqlstate("55P03", True),  # lock not available
    sqlstate("57014", True),  # query cancelled
    sqlstate("57P01", True),  # shutdown
    sqlstate("57P03", True),  # cannot connect now
    sqlstate("25P03", True),  # idle in a transaction for too long
    system(FileNotFoundError(errno.ENOENT, "no such file", "model.onnx"), False),
    system(PermissionError(errno.EACCES, "permission denied", "model.onnx"), False),
    system(OSError(errno.ENOSPC, "no space left on device"), False),
    system(OSError(errno.EMFILE, "too many open files"), False),
    # Of a connection to PostgreSQL it comes as DatabaseUnavailable: tests/integration/test_database_errors.py.
    system(socket.gaierror(socket.EAI_NONAME, "name not known"), False),
    sqlstate("22003", False),  # a number out of range
    sqlstate("23505", False),  # unique violation
    sqlstate("42P01", False),  # no such table
    Case(ValueError("a fault"), False, "a fault of ours"),
]
table = pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])


@table
def test_the_tuple_says_the_same(case: Case) -> None:
    assert isinstance(case.error, TRANSIENT) is case.passes


@table
async def test_a_loop_tries_again_or_ends(case: Case) -> None:
    tries = 0

    async def action() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise case.error
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError if case.passes else type(case.error)):
        await repeat(0.001, action, *TRANSIENT)
    assert tries == (2 if case.passes else 1)


@table
async def test_a_route_answers_that_it_is_worth_a_repeat_or_that_it_is_a_fault(case: Case) -> None:
    app = create_app("test", Health(), CollectorRegistry())

    @app.get("/")
    async def route() -> None:
        raise case.error

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers.get("Retry-After")) == ((503, "1") if case.passes else (500, None))


@table
async def test_a_handler_waits_or_sets_the_record_aside(case: Case) -> None:
    """While it waits nothing is lost: the record takes effect once the trouble has passed."""
    log = Log()
    handler = Fails(case.error, 1 if case.passes else 1000)
    observer = Observer()
    transactions = cast(Transactions, Pretended(log))
    running = asyncio.create_task(Stream("test", log, transactions, handler, cast(StreamObserver, observer)).run())
    try:
        async with asyncio.timeout(10):
            await log.finished.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert handler.applied == case.passes
    assert [reason for reason in log.dead_letters if reason != "failed"] == []
    assert (len(log.dead_letters), bool(observer.reasons)) == ((0, True) if case.passes else (1, False))


@dataclass
class Log(Consumer):
    """One record, in work until it has taken effect."""

    given: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    dead_letters: list[str] = field(default_factory=list)

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        if self.given:
            await asyncio.sleep(0.001)
            return None
        self.given = True
        gone = ContentWithdrawn(source="forum", content_id="a", withdrawn_at=NOW)
        message = encode(gone, "test", SystemClock())
        record = Record(TOPIC, 0, 0, message.key, message.value, message.headers, NOW)
        return Batch([record], [Span(TOPIC, 0, 0, 1, 1, "test")])

    async def done(self, batch: Batch) -> None:
        self.finished.set()

    async def retry(self, batch: Batch) -> None:
        self.given = False

    async def fenced(self) -> None:
        raise AssertionError("nobody else reads this")

    async def lag(self) -> int:
        return 0

    async def close(self) -> None: ...


class Fails:
    """A handler that raises an error so many times."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.applied = error, times, 0

    async def prepare(self, items: Sequence[Item]) -> Sequence[Item]:
        if items and self.times:
            self.times -= 1
            raise self.error
        return items

    async def apply(self, work: UnitOfWork, plan: Sequence[Item]) -> Any:
        self.applied += len(plan)

    def committed(self, plan: Any) -> None: ...


class Observer:
    """Keeps the reasons to wait."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def batch_done(self, records: int, dead_letters: int) -> None: ...

    def waiting(self, reason: str | None) -> None:
        self.reasons += [reason] if reason is not None else []


class Pretended:
    """Transactions that write nothing but the reasons of dead letters."""

    def __init__(self, log: Log) -> None:
        self.log = log

    @asynccontextmanager
    async def begin(self, group: str = "", batch: Batch | None = None) -> AsyncIterator[UnitOfWork]:
        yield UnitOfWork(cast(Any, self), "test", SystemClock())

    async def execute(self, query: str, *arguments: Any) -> None:
        self.log.dead_letters.append(arguments[6])
