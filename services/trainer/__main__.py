"""The trainer's composition root: `python -m secondlook.trainer`."""

import sys

from prometheus_client import CollectorRegistry

from secondlook.common.bus.signatures.keeper import Keeper
from secondlook.common.bus.transport import service_bus
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import BundlePublished, ContentLabelled, PolicyPublished, ReviewRequested
from secondlook.common.contract.operations import OperationAsked
from secondlook.common.errors import BundleRejected, Conflict
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.common.service.http import create_app
from secondlook.common.service.lifecycle import Lifecycle, repeat
from secondlook.common.service.operations import Operations
from secondlook.common.service.runtime import run_service
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.asked.handler import AskedHandler
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.guard import Guard
from secondlook.trainer.keeper import StageKeeper
from secondlook.trainer.loop import TrainingLoop
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.model.tuning import require_extra
from secondlook.trainer.noticing.watch import HarmWatch
from secondlook.trainer.operations import MINE, BundleOperations
from secondlook.trainer.quality.measure import QualityMonitor
from secondlook.trainer.registry import Registry
from secondlook.trainer.runs import Runs
from secondlook.trainer.settings import TrainerSettings

GROUP, ASKED_GROUP = "trainer", "trainer-asked"
STEP_SECONDS = 1.0


async def run(settings: TrainerSettings) -> int:
    """Run until stopped; returns the exit status."""
    if settings.train_mode == "finetune":
        require_extra()
    registry, clock = CollectorRegistry(), SystemClock()
    health = Health("policy")
    metrics, family = TrainerMetrics(registry), StreamFamily(registry, health)
    async with Database.open(settings.database_url.get_secret_value(), "trainer", size=settings.pool_size) as database:
        bus = await service_bus(settings, database)
        transactions = Transactions(database, bus, clock, "trainer")
        registered = Registry(database, transactions)
        loop = TrainingLoop(settings, transactions, registered, Runs(database), metrics)
        consumer = bus.consumer(GROUP, [ContentLabelled.topic])
        stream = Stream(GROUP, consumer, transactions, LabelHandler(metrics.labels, loop.hold_out), family.of(GROUP))

        asked_by = bus.consumer(ASKED_GROUP, [ReviewRequested.topic])
        asked = Stream(ASKED_GROUP, asked_by, transactions, AskedHandler(loop.hold_out), family.of(ASKED_GROUP))

        guard = Guard(settings, transactions, registered, metrics)
        quality = QualityMonitor(settings.quality_seconds, transactions, registered, guard)

        async def watch() -> None:
            if loop.policy is not None:
                await guard.watch(loop.policy)

        lifecycle = Lifecycle()
        lifecycle.add("bus", lambda: bus.run(BusMetrics(registry, health)))
        lifecycle.add(
            "policy", lambda: bus.follow(PolicyPublished.topic, loop.on_policy, lambda: health.ready("policy"))
        )
        stages = StageKeeper(transactions, settings.canary_share)
        lifecycle.add("keep-bundles", Keeper(bus, BundlePublished.topic, stages.agree).run)
        lifecycle.add("labels", stream.run)
        lifecycle.add("asked", asked.run)
        lifecycle.add("train", lambda: repeat(STEP_SECONDS, loop.step, *TRANSIENT, Conflict))
        harm = HarmWatch(transactions, registered, Runs(database), metrics)

        async def notice() -> None:
            if loop.policy is not None:
                await harm.step(loop.policy)

        operations = Operations(transactions, MINE, BundleOperations(registered).prepare)

        async def operate() -> None:
            if await operations.step() is not None:
                quality.expire()

        lifecycle.add("asked-for", lambda: bus.follow(OperationAsked.topic, operations.on_record, lambda: None))
        lifecycle.add("operate", lambda: repeat(STEP_SECONDS, operate, *TRANSIENT))
        lifecycle.add("notice", lambda: repeat(settings.guard_seconds, notice, *TRANSIENT, Conflict))
        lifecycle.add("guard", lambda: repeat(settings.guard_seconds, watch, *TRANSIENT, Conflict, BundleRejected))
        # Whatever goes wrong with figures that only people read, training, labels and guard carry on.
        lifecycle.add("quality", lambda: repeat(STEP_SECONDS, lambda: quality.step(loop.policy), Exception))
        lifecycle.add("watch", lambda: stream.watch(settings.stalled_seconds))
        lifecycle.add("watch-asked", lambda: asked.watch(settings.stalled_seconds))
        lifecycle.follow_parent(settings.supervisor_pid)
        lifecycle.serve(create_app("Second Look trainer", health, registry), settings.host, settings.trainer_port)
        return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(run_service("trainer", TrainerSettings, run))
