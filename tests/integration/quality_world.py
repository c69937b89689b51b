"""Quality figures from the trainer's labels to where the command line reads them. No tests."""

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.quality.service import QualityService
from secondlook.trainer.guard import Guard
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.quality.measure import QualityMonitor
from secondlook.trainer.registry import Registry
from secondlook.trainer.settings import TrainerSettings
from tests.integration.trainer_world import SPAM


async def measure_quality(url: str, policy: Policy = SPAM) -> None:
    """The trainer measures and publishes, the reviewer API reads the record and keeps the figures."""
    async with Database.open(url, "trainer", size=2) as database:
        bus = PostgresBus(database)
        await bus.ensure_topics(topics(1))
        transactions = Transactions(database, bus, SystemClock(), "trainer")
        registry = Registry(database, transactions)
        settings = TrainerSettings(database_url=SecretStr(url))
        guard = Guard(settings, transactions, registry, TrainerMetrics(CollectorRegistry()))
        await QualityMonitor(0, transactions, registry, guard).measure(policy)
        records = await bus.tail("quality.measured", 1)
    async with Database.open(url, "reviewer", size=2) as database:
        service = QualityService(database)
        for record in records:
            await service.on_record(record)
        await service.store()
