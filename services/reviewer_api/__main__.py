"""`python -m secondlook.reviewer_api`: puts the service together and runs it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from secondlook.common.bus import Bus
from secondlook.common.bus.transport import service_bus
from secondlook.common.clock import Clock, SystemClock
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.lifecycle import Lifecycle, repeat
from secondlook.common.service.runtime import run_service
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.app import create_reviewer_app
from secondlook.reviewer_api.decisions import handler as log
from secondlook.reviewer_api.decisions.service import DecisionService
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.reviewer_api.review import handler as intake
from secondlook.reviewer_api.review.publisher import Publisher
from secondlook.reviewer_api.review.queues import QueueService
from secondlook.reviewer_api.review.service import ReviewService
from secondlook.reviewer_api.settings import ReviewerSettings

SCHEMA = "reviewer"
SOURCE = "reviewer-api"


@dataclass(frozen=True, slots=True)
class ReviewerApi:
    """The parts of the service, put together and not yet running."""

    app: FastAPI
    keys: ApiKeys
    reviews: ReviewService
    policies: PolicyService
    queues: QueueService
    publisher: Publisher
    streams: Sequence[Stream[Any]]
    bus_metrics: BusMetrics


def build(settings: ReviewerSettings, database: Database, bus: Bus, clock: Clock) -> ReviewerApi:
    """Put the service together over a database whose schema `reviewer` is migrated."""
    registry, health = CollectorRegistry(), Health(f"stream:{intake.GROUP}", f"stream:{log.GROUP}")
    family, metrics = StreamFamily(registry, health), ReviewerMetrics(registry)
    transactions, repository = Transactions(database, bus, clock, SOURCE), PolicyRepository()
    keys, policies = ApiKeys(database, clock), PolicyService(transactions, repository)
    queues = QueueService(transactions, repository, metrics)
    reviews = ReviewService(
        transactions,
        repository,
        metrics,
        lease=timedelta(seconds=settings.lease_seconds),
        undo_grace=timedelta(seconds=settings.undo_grace_seconds),
    )
    app = create_reviewer_app(
        reviews=reviews,
        queues=queues,
        decision_service=DecisionService(database),
        policy_service=policies,
        keys=keys,
        health=health,
        registry=registry,
        metrics=metrics,
        show_scores=settings.show_scores,
    )
    asked, said = bus.consumer(intake.GROUP, ["review.requested"]), bus.consumer(log.GROUP, ["moderation.decided"])
    streams: list[Stream[Any]] = [
        Stream(intake.GROUP, asked, transactions, intake.ReviewIntake(metrics), family.of(intake.GROUP)),
        Stream(log.GROUP, said, transactions, log.DecisionLog(), family.of(log.GROUP)),
    ]

    publisher = Publisher(transactions, repository, metrics)
    return ReviewerApi(app, keys, reviews, policies, queues, publisher, streams, BusMetrics(registry, health))


async def run(settings: ReviewerSettings) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status.

    Raises:
        ConfigurationError: the database cannot be reached.
    """
    async with Database.open(settings.database_url.get_secret_value(), SCHEMA, size=settings.pool_size) as database:
        bus = await service_bus(settings, database)
        service = build(settings, database, bus, SystemClock())
        lifecycle = Lifecycle()
        # Stopped in reverse: HTTP finishes its requests first, then the streams their batch.
        lifecycle.add("bus", lambda: bus.run(service.bus_metrics))
        lifecycle.add("observe", lambda: repeat(settings.gauge_seconds, service.queues.measure, *TRANSIENT))
        lifecycle.add("publisher", lambda: repeat(settings.publish_seconds, service.publisher.publish_due, *TRANSIENT))
        for number, stream in enumerate(service.streams):
            lifecycle.add(f"stream-{number}", stream.run)
            lifecycle.add(f"watch-{number}", partial(stream.watch, settings.stalled_seconds))
        lifecycle.follow_parent(settings.supervisor_pid)
        lifecycle.serve(service.app, settings.host, settings.api_port)
        return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(run_service(SOURCE, ReviewerSettings, run))
