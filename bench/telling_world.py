"""A deployment with a reviewer who notes everything that the API tells about each item: for bench.telling_audits.

The router's handler, the reviewer API with its HTTP layer, and PostgreSQL are the real ones; the model is a table of
scores. Scores are drawn apart from texts, reports, reach and time of arrival, so that nothing but what the services do
with an item can tell which items were decided automatically and drawn for an audit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, cast
from uuid import UUID

import httpx
import numpy as np
from prometheus_client import CollectorRegistry

from bench.telling_marks import Marks, claim_marks, probes
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bus import Record
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.postgres_consumer import to_record
from secondlook.common.bus.topics import topics
from secondlook.common.bus.wire import decode, encode
from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    Event,
    ReviewRequested,
    SecondLookRequested,
)
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.postgres import Database
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.__main__ import ReviewerApi, build
from secondlook.reviewer_api.decisions.handler import DecisionHandler
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.review.handler import ReviewRequestHandler
from secondlook.reviewer_api.settings import ReviewerSettings
from secondlook.router.coin.store import coin_secret
from secondlook.router.handler import ContentHandler
from secondlook.router.metrics import RouterMetrics
from secondlook.router.signals.asking import AskedSignals
from secondlook.router.signals.budget import SharedBudget
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.router.state import InForce, RoutingState, Stages

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = """
name: telling audits
mode: fixed
labels:
  spam: {description: advertising, severity: 3}
thresholds: {approve: 0.2, reject: {spam: 0.8}}
audit: {certify: 0.15, approve: 0.4, reject: 0.4}
"""
MINUTES_AN_ITEM = 1.0  # between arrivals, on average
BATCH = 12
BACKLOG = 60  # items that wait, so that the order of the queue matters
RECORDS = 'SELECT * FROM bus.record WHERE topic = $1 AND "offset" >= $2 ORDER BY "offset"'


@dataclass
class Watch:
    """The clock of the deployment."""

    time: datetime = BEGIN

    def now(self) -> datetime:
        return self.time


class Scores:
    """The bundle: the score of each text, as a table gives it."""

    version, labels, certified = "b1", ("spam",), None

    def __init__(self) -> None:
        self.of: dict[str, float] = {}

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        scores = np.array([[self.of[text]] for text in texts], np.float32)
        return Prediction.fitting(scores, np.ones((len(texts), 4), np.float32))


@dataclass
class Deployment:
    """Router and reviewer API over one database."""

    router: Transactions
    reviewer: Transactions
    api: ReviewerApi
    handler: ContentHandler
    clock: Watch
    scores: Scores
    client: httpx.AsyncClient
    chance: np.random.Generator
    keys: dict[str, str] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    arrived: int = 0

    async def arrive(self, count: int) -> None:
        """So many items come in, each at its time, are routed, and reach the queue and the decision log."""
        for _ in range(count):
            plan = await self.handler.prepare(self._records([self._item()]))
            async with self.router.begin() as work:
                await self.handler.apply(work, plan)
            await self._deliver()

    async def _deliver(self) -> None:
        """What was published reaches the reviewer API."""
        reviews = ReviewRequestHandler(ReviewerMetrics(CollectorRegistry()))
        for topic, handler in ((ContentDecided.topic, DecisionHandler()), (ReviewRequested.topic, reviews)):
            rows = await self.router.database.pool.fetch(RECORDS, topic, self.read.get(topic, 0))
            self.read[topic] = self.read.get(topic, 0) + len(rows)
            records = [to_record(row) for row in rows]
            read = [Item(record, decode(record)) for record in records]
            async with self.reviewer.begin() as work:
                await handler.apply(work, await cast(Any, handler).prepare(read))

    async def look_again(self, content_id: str) -> None:
        """Ask for a second look at a published item."""
        asked = SecondLookRequested(
            source="forum", content_id=content_id, revision=1, reason="looks wrong", requested_at=self.clock.now()
        )
        async with self.reviewer.begin() as work:
            work.publish(asked)
        await self._deliver()

    def _item(self) -> ContentSubmitted:
        self.clock.time += timedelta(minutes=self.chance.exponential(MINUTES_AN_ITEM))
        self.arrived += 1
        name = self.chance.bytes(6).hex()  # a number that grows would tell how old content is
        text = f"item {name}, " + " ".join(self.chance.choice(["some", "words", "here"], 8))
        side = self.chance.random()
        low, high = (0.0, 0.2) if side < 0.45 else (0.8, 1.0) if side < 0.55 else (0.2, 0.8)
        self.scores.of[text] = float(self.chance.uniform(low + 0.001, high - 0.001))
        return ContentSubmitted(
            source="forum", content_id=f"post-{name}", revision=1, text=text,
            created_at=self.clock.now() - timedelta(seconds=self.chance.exponential(5)),
            reports=int(self.chance.poisson(0.2)),
            reach=int(self.chance.lognormal(3, 2)) if self.chance.random() < 0.5 else 0,
        )  # fmt: skip

    def _records(self, events: Sequence[Event]) -> list[Item]:
        found = []
        for place, event in enumerate(events):
            sent = encode(event, "bench", self.clock)
            record = Record(sent.topic, 0, place, sent.key, sent.value, sent.headers, self.clock.now())
            found.append(Item(record, event))
        return found

    async def call(
        self, method: str, path: str, body: Any = None, *, name: str = "spy"
    ) -> tuple[httpx.Response, float]:
        """The answer, and after how many seconds it was there."""
        if name not in self.keys:
            self.keys[name] = await self.api.keys.create(name, "reviewer")
        headers = {"Authorization": f"Bearer {self.keys[name]}"}
        start = perf_counter()
        answer = await self.client.request(method, path, json=body, headers=headers)
        return answer, perf_counter() - start

    async def truth(self) -> dict[UUID, str]:
        """Why each task is there."""
        rows = await self.reviewer.database.pool.fetch("SELECT task_id, why FROM task_payload")
        return {row["task_id"]: row["why"] for row in rows}


async def spy(deployment: Deployment, items: int) -> tuple[list[dict[str, float]], list[str]]:
    """Marks of every item that the spy judged while so many items came in, and why it was asked about."""
    marks, order, whose = Marks(), [], []
    public = (await deployment.call("GET", "/policies/active"))[0].json()["policy"]
    again: list[str] = []
    await deployment.arrive(BACKLOG)
    while deployment.arrived < items:
        await deployment.arrive(BATCH)
        await deployment.api.publisher.publish_due()
        if again:  # one at a time, between other arrivals: a run that asks about many at once would tell by the time
            await deployment.look_again(again.pop())
        claim, seconds = await deployment.call(
            "POST", "/review/claims", {"limit": int(deployment.chance.integers(5, 9))}
        )
        claimed = claim.json()["tasks"]
        for place, task in enumerate(claimed):
            order.append(task)
            whose.append(UUID(task["task_id"]))
            noted = claim_marks(task, place, len(claimed), seconds, len(json.dumps(task)), public)
            noted |= await _judge(deployment, task)
            marks.add(noted)
        colleagues = (await deployment.call("POST", "/review/claims", {"limit": 2}, name="colleague"))[0].json()[
            "tasks"
        ]
        for task in colleagues:
            await _approve(deployment, task, "colleague")
            if deployment.chance.random() < 0.5:
                again.append(task["content"]["content_id"])
        deployment.clock.time += timedelta(seconds=11)
        await deployment.api.publisher.publish_due()
    truth = await deployment.truth()
    return marks.with_order(order), [truth[task_id] for task_id in whose]


async def _judge(deployment: Deployment, task: Any) -> dict[str, float]:
    """Everything that a reviewer can ask about an item in hands, and what came back."""
    found: dict[str, float] = {}
    content = task["content"]
    about = f"/content/{content['source']}/{content['content_id']}"

    async def note(name: str, method: str, path: str, body: Any = None) -> httpx.Response:
        answer, seconds = await deployment.call(method, path, body)
        text = answer.text
        found[f"{name} seconds"], found[f"{name} status"], found[f"{name} size"] = (
            seconds,
            answer.status_code,
            len(text),
        )
        for word in ("model", "decided", "in_review", "published", "superseded", "confidence", content["content_id"]):
            found[f"{name} says {'its name' if word == content['content_id'] else word}"] = text.count(f'"{word}"')
        return answer

    path, held = f"/review/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
    await note("content", "GET", about)
    await note("decisions", "GET", "/decisions?limit=20")
    for name, (method, probed, body) in probes(content).items():
        await note(name, method, probed, body)
    await note("heartbeat", "POST", f"{path}/heartbeat", held)
    verdict = {**held, "outcome": "approve", "labels": []}
    said = (await note("decide", "POST", f"{path}/decision", verdict)).json()
    found["undo names the task"] = said["decision_id"] == task["task_id"]
    await note("content in its grace", "GET", about)
    return found


async def _approve(deployment: Deployment, task: Any, name: str) -> None:
    body = {"lease_token": task["lease_token"], "outcome": "approve", "labels": []}
    await deployment.call("POST", f"/review/tasks/{task['task_id']}/decision", body, name=name)


async def run(url: str, items: int, seed: int) -> tuple[list[dict[str, float]], list[str]]:
    """What the spy noted, on a fresh and migrated database."""
    async with Database.open(url, "router") as routers, Database.open(url, "reviewer") as reviewers:
        clock, scores, bus = Watch(), Scores(), PostgresBus(routers)
        await bus.ensure_topics(topics(1))
        settings = ReviewerSettings(database_url=cast(Any, url))
        api = build(settings, reviewers, PostgresBus(reviewers), clock)
        version = await api.policies.publish(policy := parse_policy(POLICY), "lead")
        state = cast(RoutingState, InTheseStages(Stages(InForce(policy, version, scores), None, None)))
        metrics = RouterMetrics(CollectorRegistry())
        asked = AskedSignals(SharedBudget(routers), SignalMetrics(CollectorRegistry()), clock=clock)
        secret = await coin_secret(routers.pool)
        handler = ContentHandler(state, metrics, clock, timedelta(minutes=5), secret, asked)
        transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://reviewer/v1") as client:
            deployment = Deployment(
                Transactions(routers, bus, clock, "router"),
                Transactions(reviewers, PostgresBus(reviewers), clock, "reviewer-api"),
                api, handler, clock, scores, client, np.random.default_rng(seed),
            )  # fmt: skip
            return await spy(deployment, items)


@dataclass(frozen=True)
class InTheseStages:
    """A state that never changes."""

    known: Stages

    def stages(self) -> Stages:
        return self.known
