"""How a connection is served: as uvicorn does it, and never for longer than the limits say."""

import asyncio
from math import inf
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from secondlook.common.http.limits import HEAD_SECONDS, LINGER_SECONDS, MAX_CONNECTIONS, SEND_SECONDS

EMPTY = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"


class ClientConnection(H11Protocol):
    """A client's connection, for `uvicorn.Config(http=…)`.

    It is closed when a request's head takes longer than `head_seconds`, and when the client takes nothing of its answer
    for `send_seconds`. When more than `max_connections` are open, the one that has waited longest for a head is closed.
    A client that still sends when it is closed has `linger_seconds` to read the answer (RFC 9112, section 9.6).
    """

    head_seconds = HEAD_SECONDS
    send_seconds = SEND_SECONDS
    linger_seconds = LINGER_SECONDS
    max_connections = MAX_CONNECTIONS
    waiting_since: float = inf  # for the head of a request; infinity while a request is served
    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, _Lingering(transport, self)))
        self._await_head()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._answer = _stop(self._head), _stop(self._answer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # nobody will read it
        super().data_received(data)
        if self.transport.is_closing():
            return
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

    @property
    def may_be_sending(self) -> bool:
        """Whether a request is under way of which the end has not arrived."""
        idle = self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE
        return idle or self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def linger(self) -> None:
        """Wait for the client to end its side, but not for long, and for nobody when room is needed."""
        self.waiting_since = -inf
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # it can no longer be answered
            self.cycle.message_event.set()
        _stop(self._head)
        self._head = self.loop.call_later(self.linger_seconds, self.transport.abort)

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


class _Lingering:
    """A transport that ends its own side first when a client may still be sending, and the rest when the client does.

    If it were closed at once, the next byte to arrive would be answered by a reset, and that takes an answer away from
    a client that has not read it yet.
    """

    def __init__(self, transport: Any, connection: ClientConnection) -> None:
        self._transport, self._connection, self._closing = transport, connection, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or bool(self._transport.is_closing())

    def close(self) -> None:
        if self.is_closing():
            return
        self._closing = True
        if self._connection.may_be_sending and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._connection.linger()
        else:
            self._transport.close()


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
