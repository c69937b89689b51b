"""A process that does nothing but relay the router's outbox, for faults that must hit a relay and nothing else."""

import sys

from prometheus_client import CollectorRegistry

from secondlook.common.bus.topics import topics
from secondlook.common.bus.transport import open_bus
from secondlook.common.observability import BusMetrics, Health
from secondlook.common.postgres import Database
from secondlook.common.service.lifecycle import Lifecycle
from secondlook.common.service.runtime import run_service
from secondlook.common.settings import CommonSettings


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
