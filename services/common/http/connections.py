"""How a connection is served: as uvicorn does it, and never for longer than the limits say."""

import asyncio
from math import inf
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from secondlook.common.http.limits import HEAD_SECONDS, MAX_CONNECTIONS, SEND_SECONDS

EMPTY = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"


class ClientConnection(H11Protocol):
    """A client's connection, for `uvicorn.Config(http=…)`.

    It is closed when a request's head takes longer than `head_seconds`, and when the client takes nothing of its answer
    for `send_seconds`. When more than `max_connections` are open, the one that has waited longest for a head is closed.
    """

    head_seconds = HEAD_SECONDS
    send_seconds = SEND_SECONDS
    max_connections = MAX_CONNECTIONS
    waiting_since: float = inf  # for the head of a request; infinity while a request is served
    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._answer = _stop(self._head), _stop(self._answer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.waiting_since, self._head = inf, _stop(self._head)
        elif self._head is None:
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self.waiting_since = self.loop.time()  # uvicorn closes what stays idle

    def pause_writing(self) -> None:
        super().pause_writing()
        _stop(self._answer)
        self._answer = self.loop.call_later(self.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer = _stop(self._answer)

    def _await_head(self) -> None:
        self.waiting_since = self.loop.time()
        self._head = self.loop.call_later(self.head_seconds, self._end, b"408 Request Timeout")

    def _make_room(self) -> None:
        waiting = [other for other in self.connections if isinstance(other, ClientConnection) and other is not self]
        longest = min(waiting, key=lambda other: other.waiting_since, default=self)
        if longest.waiting_since < inf:
            self.connections.discard(longest)
            longest.transport.abort()
        else:
            self._end(b"503 Service Unavailable")

    def _end(self, status: bytes) -> None:
        self.transport.write(EMPTY % status)
        self.transport.close()


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
