"""A trainer on a real database, with its real training process."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from secondlook.common.bus import Record, Topic
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import (
    BundlePublished,
    Coin,
    ContentLabelled,
    ContentSubmitted,
    Event,
    PolicyPublished,
    ReviewRequested,
    Why,
)
from secondlook.common.contract.fields import Context
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Risk
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.asked.handler import AskedHandler
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.data.splits import IMPORTED
from secondlook.trainer.loop import TrainingLoop
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.registry import Registry
from secondlook.trainer.runs import Runs
from secondlook.trainer.settings import TrainerSettings


def published(policy: Policy, version: int) -> PolicyPublished:
    return PolicyPublished(version=version, policy=policy, published_at=datetime.now(UTC), published_by="test")


def as_record(event: Event) -> Record:
    message = encode(event, "test", SystemClock())
    return Record(message.topic, 0, 0, message.key, message.value, message.headers, datetime.now(UTC))


@contextlib.asynccontextmanager
async def trainer_transactions(database_url: str) -> AsyncIterator[Transactions]:
    """Units of work of the trainer, with the topic that it publishes to."""
    async with Database.open(database_url, "trainer") as database:
        bus = PostgresBus(database)
        await bus.ensure_topics([Topic("routing.bundle", 1, compacted=True)])
        yield Transactions(database, bus, SystemClock(), "trainer")


class World:
    """A trainer on a database of its own."""

    def __init__(self, settings: TrainerSettings, database: Database, bus: PostgresBus) -> None:
        self.settings, self.database, self.bus = settings, database, bus
        self.transactions = Transactions(database, bus, SystemClock(), "trainer")
        self.registry, self.runs = Registry(database, self.transactions), Runs(database)
        self.prometheus = CollectorRegistry()
        self.metrics = TrainerMetrics(self.prometheus)
        self.trainer = TrainingLoop(settings, self.transactions, self.registry, self.runs, self.metrics)

    def configured(self, **settings: Any) -> "World":
        """The same system with other settings."""
        return World(self.settings.model_copy(update=settings), self.database, self.bus)

    async def bundles_on_the_bus(self) -> list[str]:
        rows = await self.database.pool.fetch(
            "SELECT value FROM bus.record WHERE topic = 'routing.bundle' ORDER BY \"offset\""
        )
        return [BundlePublished.model_validate_json(row["value"]).bundle_version for row in rows]

    async def state(self) -> str:
        return (await self.runs.latest())[0].state


@contextlib.asynccontextmanager
async def make_world(
    database_url: str, folder: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A trainer that keeps its bundles in `folder`."""
    settings = TrainerSettings(
        database_url=SecretStr(database_url),
        bundle_uri=f"file://{folder / 'bundles'}",
        encoder_cache=str(encoder_cache),
        certify_labels=0,
    )
    # The training process reads the environment, as it does in a deployment.
    monkeypatch.setenv("SECONDLOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("SECONDLOOK_BUNDLE_URI", settings.bundle_uri)
    monkeypatch.setenv("SECONDLOOK_CERTIFY_LABELS", "0")
    monkeypatch.setenv("SECONDLOOK_ENCODER_CACHE", settings.encoder_cache)
    async with Database.open(database_url, "trainer") as database:
        bus = PostgresBus(database)
        await bus.ensure_topics([Topic("routing.bundle", 1, compacted=True)])
        yield World(settings, database, bus)


SPAM = Policy(
    name="certified",
    labels={"spam": LabelPolicy(description="Unasked-for advertising")},
    risk=Risk(approve=0.05, reject=0.1, confidence=0.9),
    audit=Audit(certify=0.5),
)
PLAIN = ("dinner", "garden", "train", "weather", "football", "library", "homework", "mountain", "bicycle", "concert")
PUSHY = ("winner", "prize", "discount", "casino", "free", "claim", "offer", "cheap", "pills", "bonus")


def sentence(chance: random.Random, spam: bool) -> str:
    return " ".join(chance.choice(PUSHY if spam else PLAIN) for _ in range(8))


def asked(label: ContentLabelled, **changes: object) -> ReviewRequested:
    """The request that a label answers, of an item that people judged whatever the model said."""
    content = ContentSubmitted(
        source=label.source, content_id=label.content_id, revision=label.revision, text=label.text,
        kind="text" if label.text else "image", context=Context(url=None if label.text else "https://x.example"),
        author_id=label.author_id, created_at=label.labelled_at, signals=label.signals,
    )  # fmt: skip
    fields: dict[str, object] = {
        "source": label.source, "content_id": label.content_id, "revision": label.revision, "review_id": uuid4(),
        "content": content, "why": Why.UNCERTAIN, "queue": "default", "priority": 0, "scores": label.scores,
        "coin": Coin(u=0.0, inclusion_probability=1.0, stratum=label.stratum, approve=1.0, reject=1.0),
        "embedding": None, "prior": None, "policy_version": 1, "bundle_version": label.bundle_version,
        "requested_at": label.labelled_at, **changes,
    }  # fmt: skip
    return ReviewRequested.model_validate(fields)


class Labels:
    """People who label what they are shown."""

    def __init__(self, world: World) -> None:
        self._world, self._chance, self._count = world, random.Random(7), 0
        self.handler = LabelHandler(world.metrics.labels, world.trainer.hold_out)
        self._asked = AskedHandler(world.trainer.hold_out)

    async def give(
        self,
        count: int,
        stratum: str,
        *,
        spam: Callable[[str, int], bool] | None = None,
        signals: Callable[[int], Mapping[str, float]] | None = None,
        **more: object,
    ) -> None:
        """Labels of `count` texts, half of them spam; `spam` says what people say of a text instead of the truth,
        `signals` what other classifiers say of each."""
        batch = []
        for number in range(count):
            self._count += 1
            text = sentence(self._chance, number % 2 == 0)
            said = number % 2 == 0 if spam is None else spam(text, number)
            fields = {
                "source": "forum", "content_id": f"c{self._count}", "label_id": uuid4(), "revision": 1, "text": text,
                "labels": {"spam": said}, "reviewer": "r1", "decision_id": None, "adjudicated": True,
                "labelled_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._count),
                "inclusion_probability": 1.0, "stratum": stratum,
                "signals": signals(number) if signals else {}, **more,
            }  # fmt: skip
            batch.append(ContentLabelled.model_validate(fields))
        async with self._world.transactions.begin() as work:
            if stratum != IMPORTED:
                await self._asked.apply(work, [asked(label) for label in batch])
            await self.handler.apply(work, batch)
