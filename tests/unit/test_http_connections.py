"""A real server and clients that do not behave: who may not send is turned away, and nobody holds it up."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from secondlook.common.errors import Unauthenticated
from secondlook.common.http.connections import ClientConnection
from secondlook.common.http.intake import Intake
from secondlook.common.http.limits import MAX_BODY
from secondlook.common.observability import Health
from secondlook.common.service.authentication import require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.http import create_app
from secondlook.common.service.permissions import ROLES, Caller, Permission
from tests.waiting import until

SOON = 0.5  # seconds, the limits of the server in these tests
LARGE_ANSWER = 64 * 1024 * 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Strict(ClientConnection):
    head_seconds = SOON
    send_seconds = SOON
    linger_seconds = 3 * SOON
    max_connections = 20


class Known:
    """Knows callers by the names of their roles."""

    async def authenticate(self, credential: str | None) -> Caller:
        for role, permissions in ROLES.items():
            if role == credential:
                return Caller(role, permissions)
        raise Unauthenticated("who are you?")


class Thing(BaseModel):
    number: int


def make_app() -> FastAPI:
    app = create_app("test", Health(), CollectorRegistry())
    reviewer = Annotated[Caller, Depends(require(Known(), Permission.REVIEW))]
    router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(require(Known(), Permission.REVIEW))])

    @app.post("/parsed")
    async def parsed(thing: Thing, caller: reviewer) -> int:
        return thing.number

    @router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @router.get("/large")
    async def large() -> str:
        return "x" * LARGE_ANSWER

    app.include_router(router)
    return app


@asynccontextmanager
async def serving(app: Any, protocol: type[ClientConnection] = Strict) -> AsyncIterator[int]:
    """The port of a running server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none", http=protocol, lifespan="off"))
    task = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(Intake(make_app(), {}, gap_seconds=SOON, max_held=MAX_BODY)) as port:
        yield port


async def dial(port: int, sent: bytes) -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


def head(path: str, *lines: str, role: str | None = "reviewer", method: str = "POST") -> bytes:
    key = [f"Authorization: Bearer {role}"] if role else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *key, *lines, "", ""]).encode()


async def ended(streams: Streams, within: float = 5) -> bytes:
    """All that the server sends until it closes the connection."""
    async with asyncio.timeout(within):
        try:
            return await streams[0].read()
        except ConnectionResetError:
            return b""
        finally:
            streams[1].close()


async def healthy(port: int) -> None:
    streams = await dial(port, head("/healthz", "Connection: close", method="GET"))
    assert (await ended(streams)).startswith(b"HTTP/1.1 200")


JSON = "Content-Type: application/json"


@pytest.mark.parametrize("path", ["/parsed", "/raw"])
@pytest.mark.parametrize("size", ["Content-Length: 2", "Content-Length: 99999999999", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("role", "status"), [(None, 401), ("nobody", 401), ("upstream", 403)])
async def test_who_may_not_send_is_told_before_a_body_comes(
    port: int, path: str, size: str, role: str | None, status: int
) -> None:
    began = time.monotonic()
    answer = await ended(await dial(port, head(path, size, JSON, "Expect: 100-continue", role=role)))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert time.monotonic() - began < SOON


async def test_who_sends_a_whole_body_is_served_and_the_connection_stays(port: int) -> None:
    reader, writer = await dial(port, b"")
    for number in range(3):
        body = b'{"number": %d}' % number
        writer.write(head("/parsed", JSON, f"Content-Length: {len(body)}") + body)
        assert b" 200 " in await reader.readline()
        assert (await reader.readuntil(b"\r\n\r\n")).count(b"connection: close") == 0
        assert await reader.readexactly(1) == b"%d" % number
    writer.close()


@pytest.mark.parametrize("beginning", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b"])
async def test_half_a_head_is_not_waited_for(port: int, beginning: bytes) -> None:
    answer = await ended(await dial(port, beginning), within=4 * SOON)
    assert answer.startswith(b"HTTP/1.1 408 ")
    await healthy(port)


async def test_a_head_that_comes_in_drops_is_not_waited_for(port: int) -> None:
    reader, writer = await dial(port, b"GET /healthz HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(SOON / 10)

    dripping = asyncio.create_task(drip())
    assert (await ended((reader, writer), within=4 * SOON)).startswith((b"HTTP/1.1 408 ", b""))
    dripping.cancel()


async def test_half_a_head_after_a_request_is_not_waited_for(port: int) -> None:
    reader, writer = await dial(port, head("/healthz", method="GET"))
    await reader.readuntil(b'{"status":"ok"}')
    writer.write(b"GET /healthz HT")
    assert (await ended((reader, writer), within=4 * SOON)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", ["/parsed", "/raw"])
@pytest.mark.parametrize("size", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_half_a_body_is_not_waited_for(port: int, path: str, size: str) -> None:
    answer = await ended(await dial(port, head(path, JSON, size) + b"1\r\n{\r\n"), within=4 * SOON)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/too-slow" in answer


async def test_a_body_that_comes_in_drops_is_not_waited_for(port: int) -> None:
    reader, writer = await dial(port, head("/raw", "Content-Length: 100000"))

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(SOON / 10)

    dripping = asyncio.create_task(drip())
    assert (await ended((reader, writer), within=4 * SOON)).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head("/raw", "Content-Length: 1000", role=None), 401),
        (head("/raw", "Content-Length: 1000000"), 413),
        (head("/raw", "Content-Length: 1000"), 408),
        (head("/raw", "Transfer-Encoding: chunked") + b"1000\r\n", 408),
        (head("/raw", "Transfer-Encoding: chunked") + b"nonsense\r\n", 400),
        (b"GET /healthz HT", 408),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_a_client_that_goes_on_sending_can_read_why_it_was_cut_off(port: int, sent: bytes, status: int) -> None:
    client = socket.create_connection(("127.0.0.1", port))
    with client:
        client.sendall(sent)
        for _ in range(6):  # longer than it takes to answer, and not read in the meantime
            await asyncio.sleep(SOON / 4)
            client.sendall(b"x")
        assert client.recv(65536).startswith(b"HTTP/1.1 %d " % status)


async def test_who_never_ends_its_side_is_cut_off_in_the_end(port: int) -> None:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"nonsense\r\n\r\n")
    with client:
        for _ in range(9):
            await asyncio.sleep(SOON / 2)
            try:
                client.sendall(b"x")
            except ConnectionError:
                return
        pytest.fail("it is still open")


async def test_a_slow_body_at_the_pace_asked_for_is_served(port: int) -> None:
    reader, writer = await dial(port, head("/raw", "Content-Length: 60000", "Connection: close"))
    for _ in range(6):
        await asyncio.sleep(SOON / 4)
        writer.write(b"x" * 10_000)
    assert (await ended((reader, writer))).endswith(b"60000")


async def test_bodies_that_fill_the_memory_for_them_are_put_off(port: int) -> None:
    first = await dial(port, head("/raw", f"Content-Length: {MAX_BODY}") + b"x" * (MAX_BODY - 1))
    body = b"x" * 1000
    while not (answer := await ended(await dial(port, head("/raw", f"Content-Length: {len(body)}") + body))).startswith(
        b"HTTP/1.1 503"
    ):
        assert answer.startswith(b"HTTP/1.1 200")
    assert b"/problems/busy" in answer
    assert b"retry-after: 1" in answer.lower()
    await ended(first)
    streams = await dial(port, head("/raw", "Content-Length: 1000", "Connection: close") + body)
    assert (await ended(streams)).endswith(b"1000")


async def test_who_takes_nothing_of_an_answer_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(head("/large", method="GET"))
    await reader.readline()
    await asyncio.sleep(4 * SOON)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(LARGE_ANSWER)
    writer.close()


async def test_who_waits_longest_makes_room_and_who_is_served_does_not() -> None:
    class Patient(Strict):
        head_seconds = 60

    async with serving(make_app(), Patient) as port:
        served = await dial(port, head("/raw", "Content-Length: 5") + b"x")
        silent = [await dial(port, b"GET / HT") for _ in range(Patient.max_connections * 3)]
        await healthy(port)
        open_still = [streams for streams in silent if not streams[0].at_eof()]
        assert len(open_still) < Patient.max_connections
        assert open_still == silent[-len(open_still) :]
        served[1].write(b"xxxx")
        assert b" 200 " in await served[0].readline()
        for streams in silent:
            streams[1].close()
        served[1].close()


async def test_when_all_are_served_a_new_one_is_put_off() -> None:
    async with serving(make_app(), Strict) as port:
        served = [await dial(port, head("/raw", "Content-Length: 5") + b"x") for _ in range(Strict.max_connections)]
        await asyncio.sleep(0.1)
        answer = await ended(await dial(port, head("/healthz", method="GET")))
        assert answer.startswith(b"HTTP/1.1 503 ")
        for reader, writer in served:
            writer.write(b"xxxx")
            assert b" 200 " in await reader.readline()
            writer.close()
