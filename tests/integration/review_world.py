"""The world of the review tests: the real service on a real database, a clock to turn, and events to send. No tests."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from secondlook.common.bus import Record
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.contract.events import (
    Coin,
    ContentSubmitted,
    Event,
    PriorDecision,
    ReviewCancelled,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.postgres import Database
from secondlook.common.service.permissions import Caller, Role
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.__main__ import ReviewerApi, build
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.review.handler import ReviewRequestHandler
from secondlook.reviewer_api.settings import ReviewerSettings

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE, LEASE = 10.0, 300.0
POLICY = """
name: test
labels:
  spam: {description: unwanted advertising, action: hide, severity: 2}
  hate: {description: attacks on a group, action: remove, severity: 4}
  csam: {description: abuse of children, action: report, severity: 5, quorum: 2}
queues:
  default: {sla_minutes: 60}
  photos: {sla_minutes: 30}
  leads: {sla_minutes: 240, role: lead}
"""


@dataclass
class FakeClock:
    """Stands still until it is turned."""

    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def requested(
    content_id: str,
    revision: int = 1,
    *,
    why: Why = Why.UNCERTAIN,
    prior: PriorDecision | None = None,
    queue: str = "default",
    priority: int = 0,
    at: datetime = START,
    source: str = "forum",
    coin: Coin = Coin(u=0.25, inclusion_probability=0.5, stratum="certify"),
    embedding: str | None = None,
) -> ReviewRequested:
    """A request with the fields that a test cares about."""
    content = ContentSubmitted(
        source=source, content_id=content_id, revision=revision, text=f"text of {content_id}", created_at=at
    )
    return ReviewRequested(
        source=source, content_id=content_id, revision=revision, review_id=review_id(source, content_id, revision, why),
        content=content, why=why, queue=queue, priority=priority,
        coin=coin, scores={"spam": 0.5, "hate": 0.1}, embedding=embedding,
        prior=prior, policy_version=1, bundle_version="b1", requested_at=at,
    )  # fmt: skip


def cancelled(content_id: str, up_to: int, why: Any = "withdrawn") -> ReviewCancelled:
    return ReviewCancelled(source="forum", content_id=content_id, up_to_revision=up_to, why=why, cancelled_at=START)


def prior(content_id: str, outcome: Any, *labels: str) -> PriorDecision:
    """The router's decision on revision 1."""
    sequence = first_sequence(1)
    made = decision_id("forum", content_id, 1, sequence)
    return PriorDecision(decision_id=made, sequence=sequence, outcome=outcome, labels=labels)


def items(events: Sequence[Event], headers: dict[str, str] | None = None) -> list[Item]:
    return [
        Item(Record(event.topic, 0, place, event.key, event.model_dump_json().encode(), headers or {}, START), event)
        for place, event in enumerate(events)
    ]


@dataclass
class World:
    """The service under test."""

    api: ReviewerApi
    database: Database
    transactions: Transactions
    clock: FakeClock
    client: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, policy: str | None = POLICY, keys: dict[str, str] | None = None, **settings: Any
    ) -> AsyncIterator["World"]:
        async with Database.open(url, "reviewer") as database:
            clock, bus = FakeClock(), PostgresBus(database)
            await bus.ensure_topics(topics(2))
            given = {"undo_grace_seconds": GRACE, "lease_seconds": LEASE, **settings}
            api = build(ReviewerSettings(database_url=url, **given), database, bus, clock)
            transport = httpx.ASGITransport(app=api.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://reviewer/v1") as client:
                world = cls(api, database, Transactions(database, bus, clock, "test"), clock, client, keys or {})
                if policy:
                    await world.api.policies.publish(parse_policy(policy), "lead-0")
                yield world

    async def request(self, *events: Event, headers: dict[str, str] | None = None) -> None:
        """What the stream does with a batch."""
        handler = ReviewRequestHandler(ReviewerMetrics(CollectorRegistry()))
        plan = await handler.prepare(items(events, headers))
        async with self.transactions.begin() as work:
            await handler.apply(work, plan)

    async def key(self, role: Role, name: str = "") -> str:
        """An API key, the same one for the same role and name."""
        name = name or role
        if name not in self.keys:
            self.keys[name] = await self.api.keys.create(name, role)
        return self.keys[name]

    async def caller(self, role: Role, name: str = "") -> Caller:
        return await self.api.keys.authenticate(await self.key(role, name))

    async def call(
        self, method: str, path: str, body: Any = None, *, role: Role = "reviewer", name: str = ""
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.key(role, name)}"}
        return await self.client.request(method, path, json=body, headers=headers)

    async def claim(self, limit: int = 1, *, role: Role = "reviewer", name: str = "", **more: Any) -> Any:
        answer = await self.call("POST", "/review/claims", {"limit": limit, **more}, role=role, name=name)
        assert answer.status_code == 200, answer.text
        return answer.json()["tasks"]

    async def act(
        self, task: Any, what: str, *, role: Role = "reviewer", name: str = "", **more: Any
    ) -> httpx.Response:
        """POST review/tasks/{id}/{what} with the task's token."""
        body = {"lease_token": task["lease_token"], **more}
        return await self.call("POST", f"/review/tasks/{task['task_id']}/{what}", body, role=role, name=name)

    async def reject(self, task: Any, *labels: str, role: Role = "reviewer", name: str = "", status: int = 200) -> Any:
        return await self._judge(task, {"outcome": "reject", "labels": labels}, role, name, status)

    async def approve(self, task: Any, *, role: Role = "reviewer", name: str = "", status: int = 200) -> Any:
        return await self._judge(task, {"outcome": "approve", "labels": []}, role, name, status)

    async def _judge(self, task: Any, verdict: Any, role: Role, name: str, status: int) -> Any:
        answer = await self.act(task, "decision", role=role, name=name, **verdict)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def publish(self) -> int:
        """Let the grace pass and publish."""
        self.clock.turn(GRACE)
        return await self.api.publisher.publish_due()

    async def published(self, topic: str) -> list[Any]:
        """The bodies of a topic's events, in order."""
        rows = await self.database.pool.fetch(
            'SELECT value FROM bus.record WHERE topic = $1 ORDER BY partition, "offset"', topic
        )
        return [json.loads(row["value"]) for row in rows]

    async def states(self) -> dict[str, str]:
        """The state of each task, by content and revision."""
        rows = await self.database.pool.fetch("SELECT content_id, revision, state FROM task")
        return {f"{row['content_id']}/{row['revision']}": row["state"] for row in rows}


def code_of(answer: httpx.Response) -> str:
    """Status and problem code."""
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.status_code} {answer.json().get('code', '')}".strip()


def fields_of(answer: httpx.Response) -> set[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    return {problem["field"] for problem in answer.json()["errors"]}
