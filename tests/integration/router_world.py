"""A router on a real database: its real pipeline, stream and bus, with a small fake in the place of a bundle."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bus import DEAD_LETTER_SUFFIX, Message, Record
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.postgres_consumer import to_record
from secondlook.common.bus.topics import topics
from secondlook.common.bus.wire import MAX_MESSAGE_BYTES, decode, encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import (
    BundlePublished,
    ContentDecided,
    ContentSubmitted,
    ContentWithdrawn,
    Event,
    PolicyPublished,
    ReviewRequested,
)
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import BundleRejected
from secondlook.common.postgres import Database
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.text.scope import Scope
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret
from secondlook.router.handler import ContentHandler
from secondlook.router.metrics import RouterMetrics
from secondlook.router.reports.acceptance import Reports
from secondlook.router.signals.asking import AskedSignals
from secondlook.router.signals.budget import SharedBudget
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.router.state import Model, RoutingState, StageName
from tests.certificates import certified
from tests.waiting import until

GROUP = "router"
POLICY = "{name: test, labels: {spam: {description: advertising}}, audit: {certify: 0, most: 0}}"
AHEAD = timedelta(seconds=60)
SECRET = CoinSecret(bytes(SECRET_BYTES))

# What structlog does by default, rendering every local variable of a traceback, takes seconds.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])


def on_the_bus(value: bytes) -> bytes:
    """The value of a dead letter as its topic has it: without one that is larger than a message may be."""
    return value if len(value) <= MAX_MESSAGE_BYTES else b""


@dataclass
class FakeModel:
    """Scores by a word in the text: `sure` 0.9, `unsure` 0.5, `nan`; else 0.1. `poison` makes it fail."""

    version: str = "b1"
    labels: Sequence[str] = ("spam",)
    thresholds: Thresholds = field(default_factory=lambda: Thresholds(approve=0.2, reject={"spam": 0.8}))

    @property
    def certified(self) -> CertifiedThresholds:
        return certified(self.thresholds)

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        if any("poison" in text for text in texts):
            raise RuntimeError("the fake does not read this")
        scores = [0.5 if "unsure" in t else 0.9 if "sure" in t else np.nan if "nan" in t else 0.1 for t in texts]
        columns = np.tile(np.array(scores, np.float32)[:, None], (1, len(self.labels)))
        scopes = np.array([Scope.FITS if len(text) <= 5_000 else Scope.LONG for text in texts], np.uint8)
        return Prediction(columns, np.ones((len(texts), 4), np.float32), scopes, ("",) * len(texts))


@dataclass
class Observed:
    """What the stream reported."""

    records: int = 0
    dead_letters: int = 0
    reasons: list[str] = field(default_factory=list)

    def batch_done(self, records: int, dead_letters: int) -> None:
        self.records += records
        self.dead_letters += dead_letters

    def fenced(self) -> None:
        self.reasons += ["fenced"]

    def lag(self, records: int) -> None: ...

    def waiting(self, reason: str | None) -> None:
        self.reasons += [reason] if reason else []


class World:
    """Everything a router needs, and a look at what it left behind."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.bus = database, SystemClock(), PostgresBus(database)
        self.transactions = Transactions(database, self.bus, self.clock, "router")
        self.models: dict[str, Model] = {}
        self.registry = CollectorRegistry()
        self.metrics, self.signal_metrics = RouterMetrics(self.registry), SignalMetrics(self.registry)
        self.state = RoutingState(self._load, self.metrics)
        self.observed, self.secret = Observed(), SECRET
        self.signals = AskedSignals(SharedBudget(database), self.signal_metrics, {"localhost"}, self.clock)

    def _load(self, uri: str, sha256: str) -> Model:
        if sha256 not in self.models:
            raise BundleRejected(f"nothing at {uri}")
        return self.models[sha256]

    async def send(self, *events: Event, trace: str | None = None) -> None:
        await self.forward(*(encode(event, "test", self.clock, trace) for event in events))

    async def forward(self, *messages: Message) -> None:
        async with self.transactions.begin() as work:
            for message in messages:
                work.forward(message)

    def policy(self, document: str = POLICY, version: int = 1) -> PolicyPublished:
        policy: Policy = parse_policy(document)
        return PolicyPublished(version=version, policy=policy, published_at=self.clock.now(), published_by="test")

    def bundle(self, model: Model, stage: StageName = "active", **more: Any) -> BundlePublished:
        """The event that publishes a model, which can be loaded from now on."""
        sha256 = hashlib.sha256(model.version.encode()).hexdigest()
        self.models[sha256] = model
        uri, now = f"fake://{model.version}", self.clock.now()
        return BundlePublished(
            stage=stage, bundle_version=model.version, uri=uri, sha256=sha256, published_at=now, **more
        )

    async def in_force(self, document: str | None = POLICY, model: Model | None = None, version: int = 1) -> None:
        """Put a policy and a model in force."""
        if document is not None:
            await self.state.on_policy(self.record_of(self.policy(document, version)))
        if model is not None:
            await self.state.on_bundle(self.record_of(self.bundle(model)))

    async def stage(self, model: Model, stage: StageName, **more: Any) -> None:
        """Put a canary or a shadow in force."""
        await self.state.on_bundle(self.record_of(self.bundle(model, stage, **more)))
        await self.state.take_up(stage)

    def record_of(self, event: Event) -> Record:
        message = encode(event, "test", self.clock)
        return Record(message.topic, 0, 0, message.key, message.value, message.headers, self.clock.now())

    def pipeline(self) -> ContentHandler:
        return ContentHandler(self.state, self.metrics, self.clock, AHEAD, self.secret, self.signals)

    def reports(self) -> Reports:
        return Reports(self.transactions, self.clock, self.metrics.accepted)

    def stream(self, handler: Any = None, *, batch: int = 64) -> Stream[Any, Any]:
        consumer = self.bus.consumer(GROUP, [ContentSubmitted.topic])
        handler = handler or self.pipeline()
        return Stream(GROUP, consumer, self.transactions, handler, self.observed, max_records=batch)

    @contextlib.asynccontextmanager
    async def running(self, *handlers: Any, batch: int = 64) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Streams that run meanwhile, one a handler, or one with the router's own pipeline."""
        tasks = [asyncio.create_task(self.stream(handler, batch=batch).run()) for handler in handlers or [None]]
        try:
            yield tasks
        finally:
            await stop(*tasks)

    async def route(self, *events: Event, batch: int = 64) -> None:
        """Send and wait until a router has done everything there is, and has counted it."""
        await self.send(*events)
        counted = self.observed.records + await self._behind()
        async with self.running(batch=batch) as tasks:
            await self.idle(*tasks)
            await until(lambda: self.observed.records >= counted)

    async def idle(self, *tasks: asyncio.Task[None], seconds: float = 20) -> None:
        """Until every content record has taken effect; at once the error of a task that ended."""
        async with asyncio.timeout(seconds):
            while await self._behind():
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    async def _behind(self) -> int:
        return int(await self.database.pool.fetchval(BEHIND, GROUP, ContentSubmitted.topic))

    async def records(self, topic: str) -> list[Record]:
        query = 'SELECT * FROM bus.record WHERE topic = $1 ORDER BY partition, "offset"'
        return [to_record(row) for row in await self.database.pool.fetch(query, topic)]

    async def events(self, *kinds: type[Event]) -> list[Any]:
        """The published events of these types, in order within a key."""
        found: list[Event] = []
        for topic in dict.fromkeys(kind.topic for kind in kinds):
            found += [event for r in await self.records(topic) if isinstance(event := decode(r), kinds)]
        return found

    async def outcomes(self) -> Counter[tuple[str, int]]:
        """How often each revision was decided or asked about. Without audits each must be there once."""
        return Counter((event.key, event.revision) for event in await self.events(ContentDecided, ReviewRequested))

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"secondlook_router_{name}", labels) or 0

    async def dead_letters(self) -> list[tuple[str, str]]:
        """(reason, detail) of the dead letters, checked to be the same in the table and on the bus."""
        rows = await self.database.pool.fetch('SELECT * FROM dead_letter ORDER BY topic, partition, "offset"')
        records = await self.records(ContentSubmitted.topic + DEAD_LETTER_SUFFIX)
        table = {
            (f"{r['log']}/{r['topic']}/{r['partition']}/{r['offset']}", r["reason"], on_the_bus(r["value"]))
            for r in rows
        }
        assert table == {(r.headers["origin"], r.headers["reason"], r.value) for r in records}
        assert len(rows) == len(records)
        return [(row["reason"], row["detail"]) for row in rows]


BEHIND = """
SELECT coalesce(sum(p.next_offset - coalesce(c.next_offset, p.floor)), 0)::int FROM bus.partition p
LEFT JOIN consumer_position c ON (c.consumer_group, c.topic, c.partition) = ($1, p.topic, p.partition)
WHERE p.topic = $2
"""


@contextlib.asynccontextmanager
async def make_world(url: str, *, partitions: int = 4) -> AsyncIterator[World]:
    async with Database.open(url, "router", size=12) as database:
        world = World(database)
        await database.pool.execute("INSERT INTO coin_secret (secret) VALUES ($1)", world.secret.key)
        await database.pool.execute("DELETE FROM bus.partition")
        await world.bus.ensure_topics(topics(partitions))
        async with contextlib.aclosing(world.signals):
            yield world


@contextlib.asynccontextmanager
async def following(world: World) -> AsyncIterator[None]:
    """As `secondlook.router.__main__` follows the state topics."""
    ready = [asyncio.Event(), asyncio.Event()]
    tasks = [
        asyncio.create_task(world.bus.follow(PolicyPublished.topic, world.state.on_policy, ready[0].set)),
        asyncio.create_task(world.bus.follow(BundlePublished.topic, world.state.on_bundle, ready[1].set)),
    ]
    try:
        for event in ready:
            await asyncio.wait_for(event.wait(), 5)
        yield
    finally:
        await stop(*tasks)


async def stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def content(content_id: str, revision: int = 1, text: str | None = None, **more: Any) -> ContentSubmitted:
    created, said = datetime(2025, 1, 1, tzinfo=UTC), f"text of {content_id}" if text is None else text
    fields: dict[str, Any] = {"source": "forum", "text": said, "created_at": created, **more}
    return ContentSubmitted(content_id=content_id, revision=revision, **fields)


def withdrawal(content_id: str) -> ContentWithdrawn:
    return ContentWithdrawn(source="forum", content_id=content_id, withdrawn_at=datetime(2025, 2, 1, tzinfo=UTC))
