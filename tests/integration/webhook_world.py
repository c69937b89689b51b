"""An endpoint of an upstream service: a real HTTP server on loopback that may be slow, dead, wrong or lie. No tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry

from bench.loopback_endpoint import LoopbackEndpoint, Reply
from secondlook.common.clock import Clock, SystemClock
from secondlook.common.contract.events import ContentDecided, decision_id, first_sequence
from secondlook.reviewer_api.decisions import repository
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.webhooks.dispatcher import Dispatcher
from tests.integration.review_world import World
from tests.waiting import until

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


Behaviour = Callable[[Received], int | Reply]


@dataclass
class Upstream:
    """What was received so far, and what is answered."""

    behaviour: Behaviour = lambda _: 204
    received: list[Received] = field(default_factory=list)
    endpoint: LoopbackEndpoint = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = LoopbackEndpoint(self._react)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.endpoint.port}/hook"

    def sequences(self) -> dict[str, list[int]]:
        """By content, the sequences in the order in which they arrived."""
        found: dict[str, list[int]] = {}
        for one in self.received:
            found.setdefault(one.data["content_id"], []).append(one.data["sequence"])
        return found

    def _react(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.received.append(Received(path, dict(headers), body))
        answer = self.behaviour(self.received[-1])
        return Reply(answer) if isinstance(answer, int) else answer


@asynccontextmanager
async def upstream(behaviour: Behaviour = lambda _: 204) -> AsyncIterator[Upstream]:
    server = Upstream(behaviour)
    await server.endpoint.start()
    try:
        yield server
    finally:
        await server.endpoint.stop()


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


@asynccontextmanager
async def dispatching(world: World, clock: Clock | None = None) -> AsyncIterator[Dispatcher]:
    """What one process of the service runs."""
    metrics = ReviewerMetrics(CollectorRegistry())
    dispatcher = Dispatcher(world.database, clock or SystemClock(), metrics, private=True)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def make(world: World, url: str, **more: Any) -> tuple[str, str]:
    """A webhook's id and secret."""
    answer = await world.call("POST", "/webhooks", {"url": url, **more}, role="service")
    assert answer.status_code == 201, answer.text
    return answer.json()["webhook"]["webhook_id"], answer.json()["secret"]


async def shown(world: World, webhook: str) -> Any:
    return (await world.call("GET", f"/webhooks/{webhook}", role="service")).json()


async def settled(world: World, webhook: str) -> None:
    """Everything is looked at, and nothing waits."""

    async def nothing_waits() -> bool:
        found = await shown(world, webhook)
        return (found["waiting"], found["behind"]) == (0, 0)

    await until(nothing_waits, 30)


def in_order(server: Upstream) -> None:
    """Of each piece of content first arrivals come by sequence."""
    for key, sequences in server.sequences().items():
        firsts = list(dict.fromkeys(sequences))
        assert firsts == sorted(firsts), key
