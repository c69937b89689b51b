"""An endpoint of an upstream service: a real HTTP server on loopback that may be slow, dead, wrong or lie. No tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from secondlook.common.contract.events import ContentDecided, decision_id, first_sequence
from secondlook.reviewer_api.decisions import repository
from tests.integration.review_world import World

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]


# What the endpoint does with a request: a status, or that and headers; or seconds to wait before; None: it hangs up.
Answer = int | tuple[int, str] | None
Behaviour = Callable[[Received], "Answer | tuple[float, Answer]"]


@dataclass
class Upstream:
    """What was received so far, and what is answered."""

    behaviour: Behaviour = lambda _: 204
    received: list[Received] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _clients: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def sequences(self) -> dict[str, list[int]]:
        """By content, the sequences in the order in which they arrived."""
        found: dict[str, list[int]] = {}
        for one in self.received:
            found.setdefault(one.data["content_id"], []).append(one.data["sequence"])
        return found

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Killed: its port refuses connections."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._clients):
                writer.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                received = Received(first.split()[1], headers, body)
                self.received.append(received)
                answer = self.behaviour(received)
                if isinstance(answer, tuple) and isinstance(answer[0], float):
                    await asyncio.sleep(answer[0])
                    answer = answer[1]  # type: ignore[assignment]
                if answer is None:
                    return
                status, more = answer if isinstance(answer, tuple) else (answer, "")
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{more}\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._clients.discard(writer)
            writer.close()


@asynccontextmanager
async def upstream(behaviour: Behaviour = lambda _: 204) -> AsyncIterator[Upstream]:
    server = Upstream(behaviour)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def decided(content_id: str, number: int = 0, *, source: str = "forum", **more: Any) -> ContentDecided:
    """The decision `number` on the first revision of a piece of content."""
    sequence = first_sequence(1) + number
    given: dict[str, Any] = {
        "source": source, "content_id": content_id, "revision": 1, "sequence": sequence, "outcome": "reject",
        "decision_id": decision_id(source, content_id, 1, sequence), "labels": ("spam",), "action": "hide",
        "decided_by": "model", "decided_at": WHEN, "confidence": 0.9, "policy_version": 1, "bundle_version": "b1",
        "reason": "certain",
    }  # fmt: skip
    return ContentDecided(**{**given, **more})


async def publish(world: World, *decisions: ContentDecided) -> None:
    """What the stream does with a batch of `moderation.decided`."""
    async with world.database.pool.acquire() as connection, connection.transaction():
        await repository.insert(connection, decisions)


def some(count: int, keys: int, prefix: str = "") -> list[ContentDecided]:
    """Decisions on so many pieces of content, one after the other."""
    prefix = prefix or uuid4().hex[:8]
    return [decided(f"{prefix}-{number % keys}", number // keys) for number in range(count)]
