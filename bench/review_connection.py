"""A client's HTTP/1.1 connection that costs little: requests are bytes made before, answers are cut by their length.

Nothing here is general: one request at a time, no redirects, no compression. It reads bodies with a length, in chunks,
and up to the end of the connection, and connects again where the server ends one that is idle.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
CLOSING = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"


class ServerRefused(Exception):
    """The server does not take the load at all: nobody listens, or it turns its callers away."""


class AnswerLost(Exception):
    """The connection ended before the answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    body: bytes


def encode(method: str, path: str, headers: str, body: str | None) -> bytes:
    """A request as it goes over the wire; `headers` are whole lines, each ended by CR LF."""
    content = b"" if body is None else body.encode()
    kind = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{kind}\r\n".encode() + content


def cut(data: bytes, *, ended: bool) -> tuple[Answer, bool] | None:
    """The answer, once `data` holds all of it, and whether the server ends the connection after it; else None.

    `ended`: no more bytes will come.
    """
    head_ends = data.find(END_OF_HEAD)
    if head_ends < 0:
        return None
    head, begins = data[:head_ends], head_ends + len(END_OF_HEAD)
    status, closing = int(head[9:12]), CLOSING.search(head) is not None or head.startswith(b"HTTP/1.0")
    if CHUNKED.search(head):
        body = _joined(data, begins)
        return None if body is None else (Answer(status, body), closing)
    if length := LENGTH.search(head):
        ends = begins + int(length[1])
        return (Answer(status, data[begins:ends]), closing) if len(data) >= ends else None
    if status == 204:
        return Answer(status, b""), closing
    return (Answer(status, data[begins:]), True) if ended else None


def _joined(data: bytes, at: int) -> bytes | None:
    parts: list[bytes] = []
    while (line_ends := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_ends].split(b";")[0], 16)
        begins = line_ends + 2
        if len(data) < begins + size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[begins : begins + size])
        at = begins + size + 2
    return None


class HttpConnection:
    """A connection to a port of this machine, kept open between requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: _Wire | None = None

    async def request(self, wire: bytes) -> Answer:
        """Send a request and return its answer, whatever its status.

        Raises:
            ServerRefused: nobody listens.
            AnswerLost: the connection ended first.
        """
        if self._open is None or self._open.transport.is_closing():
            try:
                _, self._open = await asyncio.get_running_loop().create_connection(_Wire, "127.0.0.1", self._port)
            except OSError as error:
                raise ServerRefused(f"nobody answers on port {self._port}: {error}") from error
        return await self._open.exchange(wire)

    async def close(self) -> None:
        """End the connection; a later request makes another."""
        if self._open is not None:
            self._open.transport.close()
            await self._open.ended.wait()


class _Wire(asyncio.Protocol):
    """One connection, from its beginning to its end."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[Answer] | None = None
        self.ended = asyncio.Event()

    def exchange(self, wire: bytes) -> asyncio.Future[Answer]:
        self._data, self._answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(wire)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._finish(ended=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._finish(ended=True)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(AnswerLost(repr(exc) if exc else "the server ended the connection"))

    def _finish(self, *, ended: bool) -> None:
        if self._answer is None or self._answer.done() or (found := cut(self._data, ended=ended)) is None:
            return
        answer, closing = found
        if closing:
            self.transport.close()
        self._answer.set_result(answer)
