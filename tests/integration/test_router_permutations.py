"""Thousands of pieces of content, each in an order of its own, over partitions that nothing ties to their keys, through
two routers at once and into the review queue: all end as their joins say, on both transports."""

import asyncio
import contextlib
import json
import random
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from secondlook.common.bus import Bus
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.postgres import APPEND, PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.bus.wire import encode
from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ReviewCancelled,
    ReviewRequested,
    first_sequence,
)
from secondlook.common.contract.reports import ReviewReported
from secondlook.common.postgres import Database
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.review.handler import GROUP, ReviewRequestHandler
from secondlook.router.handler import ContentHandler, WrittenBatch
from secondlook.router.priority import DRAWN
from tests.contract.conftest import Observed as BusObserved
from tests.integration.router_world import AHEAD, FakeModel, Observed, World, make_world, stop
from tests.ordering import POLICY, SECRET, Event, State, expected, policy, scenario
from tests.waiting import until

KEYS, PARTITIONS, SECONDS = 5_000, 4, 240
ROWS = """
SELECT c.content_id, c.latest_revision, c.withdrawn_at, c.created_at, c.reports, c.reach, r.audited
FROM content c JOIN revision r ON (r.source, r.content_id, r.revision) = (c.source, c.content_id, c.latest_revision)
"""
OPEN = """
SELECT content_id, revision, CASE WHEN p.stratum = 'uniform' OR p.why = 'audit' THEN $1 ELSE priority END AS priority
FROM reviewer.task JOIN reviewer.task_payload p USING (task_id) WHERE state = 'pending'
"""


class Watched(ContentHandler):
    """The router's own handler, and what it has published."""

    def __init__(self, world: World) -> None:
        super().__init__(world.state, world.metrics, world.clock, AHEAD, SECRET, world.signals)
        self.decided: dict[tuple[str, int], str] = {}
        self.for_reviewers = self.decisions = 0

    def committed(self, done: WrittenBatch) -> None:
        super().committed(done)
        for event, _ in done.effects.events:
            if isinstance(event, ContentDecided):
                self.decided[event.content_id, event.sequence] = event.outcome
                self.decisions += 1
            elif isinstance(event, ReviewRequested | ReviewCancelled | ReviewReported):
                self.for_reviewers += 1


class OnPostgres:
    """The embedded log, written to by hand: its own publisher would choose one partition for a key."""

    def __init__(self, world: World) -> None:
        self._world, self.observed = world, BusObserved()

    def bus(self, database: Database) -> Bus:
        return PostgresBus(database)

    async def send(self, events: Sequence[tuple[int, Event]]) -> None:
        sent = [(partition, encode(event, "test", self._world.clock)) for partition, event in events]
        rows = [(m.topic, partition, m.key, m.value, json.dumps(m.headers)) for partition, m in sent]
        async with self._world.database.pool.acquire() as connection, connection.transaction():
            await connection.execute(APPEND, *map(list, zip(*rows, strict=True)))


class OnKafka:
    """A real Kafka, and a producer whose partitioner knows no keys."""

    def __init__(self, world: World, bootstrap: str) -> None:
        self._world, self._bootstrap, self._prefix = world, bootstrap, f"order-{secrets.token_hex(4)}."

    def bus(self, database: Database) -> Bus:
        options: dict[str, Any] = {"bus": "kafka", "kafka_bootstrap": self._bootstrap, "kafka_prefix": self._prefix}
        return KafkaBus(database, CommonSettings(database_url=SecretStr("unused"), **options))

    async def send(self, events: Sequence[tuple[int, Event]]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5) as producer:
            for partition, event in events:
                message = encode(event, "test", self._world.clock)
                headers = [(name, value.encode()) for name, value in message.headers.items()]
                await producer.send(
                    self._prefix + message.topic, message.value, message.key.encode(), partition, headers=headers
                )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url, partitions=PARTITIONS) as world:
        await world.in_force(POLICY, FakeModel())
        yield world


async def test_every_order_ends_the_same_on_the_embedded_log(world: World, database_url: str) -> None:
    await check(world, database_url, OnPostgres(world))


async def test_every_order_ends_the_same_on_kafka(world: World, database_url: str, kafka_bootstrap: str) -> None:
    await check(world, database_url, OnKafka(world, kafka_bootstrap))


async def check(world: World, url: str, transport: OnPostgres | OnKafka) -> None:
    chance = random.Random(5)
    scenarios = {f"c{number}": scenario(f"c{number}", chance.randrange) for number in range(KEYS)}
    waiting = [list(reversed(events)) for events in scenarios.values()]
    mixed: list[tuple[int, Event]] = []
    while waiting:  # an event of any key at any time, each key's in its order
        own = chance.choice(waiting)
        mixed.append((chance.randrange(PARTITIONS), own.pop()))
        if not own:
            waiting.remove(own)
    handlers = [Watched(world), Watched(world)]
    async with routed(world, url, transport, handlers) as (bus, reviews):
        await bus.ensure_topics(topics(PARTITIONS))
        await transport.send(mixed)
        await until(lambda: world.observed.records == len(mixed), SECONDS)
        await until(lambda: reviews.records == sum(handler.for_reviewers for handler in handlers), SECONDS)
    decided = {at: outcome for handler in handlers for at, outcome in handler.decided.items()}
    assert sum(handler.decisions for handler in handlers) == len(decided), "something was decided twice"
    found = await states(world, decided)
    oracle = policy()
    wrong = {name: (found[name], expected(events, oracle)) for name, events in scenarios.items()
             if found[name] != expected(events, oracle)}  # fmt: skip
    assert (len(found), wrong) == (KEYS, {})
    assert any(reason.startswith("Overtaken") for reason in world.observed.reasons), "the routers never met"


@contextlib.asynccontextmanager
async def routed(
    world: World, url: str, transport: OnPostgres | OnKafka, handlers: Sequence[Watched]
) -> AsyncIterator[tuple[Bus, Observed]]:
    """Two routers and a review queue run meanwhile."""
    reviews, bus = Observed(), transport.bus(world.database)
    transactions = Transactions(world.database, bus, world.clock, "router")
    async with Database.open(url, "reviewer") as database:
        own = Transactions(database, transport.bus(database), world.clock, "reviewer-api")
        handler = ReviewRequestHandler(ReviewerMetrics(CollectorRegistry()))
        streams: list[Stream[Any, Any]] = [
            Stream("router", bus.consumer("router", [ContentSubmitted.topic]), transactions, each, world.observed)
            for each in handlers
        ]
        streams.append(Stream(GROUP, own.bus.consumer(GROUP, [ReviewRequested.topic]), own, handler, reviews))
        await bus.ensure_topics(topics(PARTITIONS))
        tasks = [asyncio.create_task(bus.run(BusObserved())), *(asyncio.create_task(s.run()) for s in streams)]
        try:
            yield bus, reviews
        finally:
            await stop(*tasks)


async def states(world: World, decided: dict[tuple[str, int], str]) -> dict[str, State]:
    """How each piece of content ended."""
    reviews: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in await world.database.pool.fetch(OPEN, DRAWN):
        reviews[row["content_id"]].append((row["revision"], row["priority"]))
    found = {}
    for row in await world.database.pool.fetch(ROWS):
        name, latest, own = row["content_id"], row["latest_revision"], tuple(sorted(reviews[row["content_id"]]))
        if row["withdrawn_at"] is not None and row["created_at"] <= row["withdrawn_at"]:
            found[name] = State(latest, row["withdrawn_at"], True, own)
        else:
            outcome = decided.get((name, first_sequence(latest)))
            counts = (row["reports"], row["reach"])
            found[name] = State(
                latest, row["withdrawn_at"], False, own, row["created_at"], counts, outcome, row["audited"]
            )
    return found
