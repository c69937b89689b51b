"""A process that does nothing but relay the router's outbox, for faults that must hit a relay and nothing else."""

import sys

from prometheus_client import CollectorRegistry

from services.common.lifecycle import Lifecycle
from services.common.observability import BusMetrics, Health
from services.common.postgres import Database
from services.common.runtime import run_service
from services.common.settings import CommonSettings
from services.common.topics import topics
from services.common.transport import open_bus


async def run(settings: CommonSettings) -> int:
    """Relay until stopped; returns the exit status."""
    async with Database.open(settings.database_url.get_secret_value(), "router", size=2) as database:
        bus = open_bus(settings, database)
        await bus.ensure_topics(topics(settings.partitions))
        lifecycle = Lifecycle()
        lifecycle.add("bus", lambda: bus.run(BusMetrics(CollectorRegistry(), Health())))
        lifecycle.follow_parent(settings.supervisor_pid)
        return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(run_service("relay", CommonSettings, run))
