"""What `bench.connect` connects: a reviewer API, decisions on its bus, and an endpoint of an upstream service."""

import asyncio
import hashlib
import hmac
import inspect
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from bench.loopback_endpoint import LoopbackEndpoint, Reply
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentDecided, decision_id, first_sequence
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions

BLOCK = 500  # decisions a transaction
Reaction = Callable[[str, int], Reply]  # to a message that comes for the nth time


@dataclass(slots=True)
class Receiver:
    """An endpoint that checks each signature, remembers the order of first arrivals, and reacts as it is told."""

    reaction: Reaction = lambda *_: Reply()
    secret: str = ""
    arrivals: int = 0
    seen: dict[str, int] = field(default_factory=dict)  # by message, how often it came
    first: dict[str, int] = field(default_factory=dict)  # by message, the arrival that was answered with success
    reordered: int = 0
    forged: int = 0
    last: float = 0.0
    endpoint: LoopbackEndpoint = field(init=False)
    _highest: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.endpoint = LoopbackEndpoint(self._react)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.endpoint.port}/decisions"

    def _react(self, _: str, headers: Mapping[str, str], body: bytes) -> Reply:
        message = headers["webhook-id"]
        self.arrivals += 1
        self.seen[message] = self.seen.get(message, 0) + 1
        reply = self.reaction(message, self.seen[message])
        if reply.status is not None and reply.status < 300:
            self._take(headers, body)
        return reply

    def _take(self, headers: Mapping[str, str], body: bytes) -> None:
        message = headers["webhook-id"]
        signed = f"{message}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(b64decode(self.secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        if f"v1,{b64encode(digest).decode()}" not in headers["webhook-signature"].split():
            self.forged += 1
            return
        if message in self.first:
            return
        self.first[message] = self.arrivals
        self.last = time.perf_counter()
        data = json.loads(body)["data"]
        before = self._highest.get(data["content_id"], 0)
        self.reordered += data["sequence"] < before
        self._highest[data["content_id"]] = max(before, data["sequence"])


@asynccontextmanager
async def receiver(reaction: Reaction = lambda *_: Reply()) -> AsyncIterator[Receiver]:
    """An endpoint on loopback."""
    made = Receiver(reaction)
    await made.endpoint.start()
    try:
        yield made
    finally:
        await made.endpoint.stop()


@dataclass(slots=True)
class Publisher:
    """Puts decisions on `moderation.decided`, as the router does: one after the other on each piece of content."""

    transactions: Transactions
    keys: int
    made: int = 0

    async def publish(self, count: int) -> None:
        """So many more, in transactions of BLOCK."""
        for start in range(0, count, BLOCK):
            async with self.transactions.begin() as work:
                for _ in range(min(BLOCK, count - start)):
                    work.publish(self._next())

    def _next(self) -> ContentDecided:
        content_id, sequence = f"item-{self.made % self.keys}", first_sequence(1) + self.made // self.keys
        self.made += 1
        return ContentDecided(
            source="forum", content_id=content_id, revision=1, sequence=sequence,
            decision_id=decision_id("forum", content_id, 1, sequence), outcome="reject", labels=("spam",),
            action="hide", decided_by="model", decided_at=datetime.now(UTC), confidence=0.97, policy_version=1,
            bundle_version="bench", reason="certain",
        )  # fmt: skip


@asynccontextmanager
async def publisher(url: str, keys: int) -> AsyncIterator[Publisher]:
    """A publisher of its own on the embedded bus."""
    async with Database.open(url, "router", size=2) as database:
        yield Publisher(Transactions(database, PostgresBus(database), SystemClock(), "bench"), keys)


async def webhook(client: httpx.AsyncClient, target: str, after: str = "now") -> tuple[str, str]:
    """Make a webhook; returns its id and secret."""
    answer = (await client.post("/v1/webhooks", json={"url": target, "after": after})).raise_for_status().json()
    return answer["webhook"]["webhook_id"], answer["secret"]


async def until(condition: Callable[[], Any], seconds: float) -> None:
    """Wait for it; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.01)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]
