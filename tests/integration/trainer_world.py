"""A trainer on a real database, with its real training process."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.common.bus import Record, Topic
from services.common.bus.postgres import PostgresBus
from services.common.clock import SystemClock
from services.common.events import BundlePublished, PolicyPublished
from services.common.policy import Policy
from services.common.postgres import Database
from services.common.unit_of_work import Transactions
from services.common.wire import encode
from services.trainer.metrics import TrainerMetrics
from services.trainer.registry import Registry
from services.trainer.runs import Runs
from services.trainer.settings import TrainerSettings
from services.trainer.trainer import Trainer


def published(policy: Policy, version: int) -> PolicyPublished:
    return PolicyPublished(version=version, policy=policy, published_at=datetime.now(UTC), published_by="test")


def as_record(event: PolicyPublished | BundlePublished) -> Record:
    message = encode(event, "test", SystemClock())
    return Record(message.topic, 0, 0, message.key, message.value, message.headers, datetime.now(UTC))


class World:
    """A trainer on a database of its own."""

    def __init__(self, settings: TrainerSettings, database: Database, bus: PostgresBus) -> None:
        self.settings, self.database, self.bus = settings, database, bus
        self.transactions = Transactions(database, bus, SystemClock(), "trainer")
        self.registry, self.runs = Registry(database, self.transactions), Runs(database)
        self.prometheus = CollectorRegistry()
        self.metrics = TrainerMetrics(self.prometheus)
        self.trainer = Trainer(settings, self.transactions, self.registry, self.runs, self.metrics)

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
    )
    # The training process reads the environment, as it does in a deployment.
    monkeypatch.setenv("SECONDLOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("SECONDLOOK_BUNDLE_URI", settings.bundle_uri)
    monkeypatch.setenv("SECONDLOOK_ENCODER_CACHE", settings.encoder_cache)
    async with Database.open(database_url, "trainer") as database:
        bus = PostgresBus(database)
        await bus.ensure_topics([Topic("routing.bundle", 1, compacted=True)])
        yield World(settings, database, bus)
