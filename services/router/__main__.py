"""The router's composition root: `python -m secondlook.router`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from secondlook.common.bundle.locations import parse_roots
from secondlook.common.bus import Record
from secondlook.common.bus.transport import service_bus
from secondlook.common.clock import SystemClock
from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.events import BundlePublished, ContentDecided, ContentSubmitted, PolicyPublished
from secondlook.common.contract.operations import OperationAsked
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.lifecycle import Lifecycle, repeat
from secondlook.common.service.operations import Operations
from secondlook.common.service.rated import RatedAuthenticator
from secondlook.common.service.runtime import run_service
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.access.keys import KnownKeys
from secondlook.router.api import create_router_app
from secondlook.router.coin.store import coin_secret
from secondlook.router.handler import ContentHandler
from secondlook.router.highwater.marks import Marks
from secondlook.router.ingest.pressure import MeasuredStream, Pressure
from secondlook.router.metrics import RouterMetrics
from secondlook.router.model import loader
from secondlook.router.replay.counting import MINE, Simulations
from secondlook.router.reports import handler as outcomes
from secondlook.router.reports.acceptance import Reports
from secondlook.router.reports.handler import OutcomeHandler
from secondlook.router.reports.tending import Tending
from secondlook.router.repository import content_items
from secondlook.router.settings import RouterSettings
from secondlook.router.signals.asking import AskedSignals, parse_hosts
from secondlook.router.signals.budget import SharedBudget
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.router.state import STAGES, LoadModel, RoutingState
from secondlook.router.submissions import Submissions

GROUP = "router"
BUNDLE_RETRY_SECONDS = 60.0
TEND_SECONDS = 10.0
MARK_SECONDS = 1.0
COUNT_SECONDS = 10.0
OPERATE_SECONDS = 0.5

log = structlog.get_logger()


async def run(settings: RouterSettings, load: LoadModel | None = None) -> int:
    """Run until stopped; returns the exit status. `load` opens bundles, by default from where they were published."""
    registry, clock = CollectorRegistry(), SystemClock()
    health = Health("policy", "bundle", "keys")
    metrics, family = RouterMetrics(registry), StreamFamily(registry, health)
    ahead = timedelta(seconds=settings.future_seconds)
    url, roots = settings.database_url.get_secret_value(), parse_roots(settings.bundle_roots)
    async with Database.open(url, "router", size=settings.pool_size) as database:
        bus = await service_bus(settings, database)
        transactions = Transactions(database, bus, clock, "router")
        if not roots:
            log.warning("bundles are read from anywhere: set SECONDLOOK_BUNDLE_ROOTS to the places where they may lie")
        state = RoutingState(load or loader(settings.cache_dir, roots), metrics)
        consumer = bus.consumer(GROUP, [ContentSubmitted.topic])
        secret = await coin_secret(database.pool)
        signals = AskedSignals(SharedBudget(database), SignalMetrics(registry), parse_hosts(settings.signal_hosts))
        handler = ContentHandler(state, metrics, clock, ahead, secret, signals)
        operations = Operations(transactions, MINE, Simulations(database.pool, bus, state, secret).prepare)
        pressure = Pressure(settings.max_behind, settings.key_items)
        observer = MeasuredStream(family.of(GROUP), pressure)
        stream = Stream(GROUP, consumer, transactions, handler, observer, max_records=settings.batch_size)
        caught_up = {name: asyncio.Event() for name in ("policy", "bundle", "keys")}

        def ready(name: str) -> Callable[[], None]:
            def call() -> None:
                health.ready(name)
                caught_up[name].set()

            return call

        async def route_content() -> None:
            # Without the policy and bundle in force, the first items would go to review for nothing.
            for event in caught_up.values():
                await event.wait()
            await stream.run()

        keys = KnownKeys(ApiKeys(database, clock), clock)
        submissions = Submissions(transactions, clock, metrics, ahead, pressure)
        reports = Reports(transactions, clock, metrics.accepted, pressure)
        app = create_router_app(submissions, RatedAuthenticator(keys, settings.key_requests), health, registry, reports)
        lifecycle = Lifecycle()
        lifecycle.add("bus", lambda: bus.run(BusMetrics(registry, health)))
        marks = Marks(database, checked=bool(settings.signing_keys))
        await marks.load()

        def follow(name: str, topic: str, take: Callable[[Record], Awaitable[None]]) -> None:
            async def apply(record: Record) -> None:
                await take(record)
                marks.note(record)

            lifecycle.add(name, lambda: bus.follow(topic, apply, ready(name), marks.behind))

        follow("policy", PolicyPublished.topic, state.on_policy)
        follow("bundle", BundlePublished.topic, state.on_bundle)
        follow("keys", KeysPublished.topic, keys.on_record)
        lifecycle.add("marks", lambda: repeat(MARK_SECONDS, marks.store, *TRANSIENT))
        for stage in STAGES:
            retry = partial(repeat, BUNDLE_RETRY_SECONDS, partial(state.take_up, stage))
            lifecycle.add(f"{stage}-bundle-retry", retry)

        async def count() -> None:
            state.count(await content_items(database.pool))

        lifecycle.add("count", lambda: repeat(COUNT_SECONDS, count, *TRANSIENT))
        lifecycle.add("asked-for", lambda: bus.follow(OperationAsked.topic, operations.on_record, lambda: None))
        lifecycle.add("operate", lambda: repeat(OPERATE_SECONDS, operations.step, *TRANSIENT))
        lifecycle.add("router", route_content)
        lifecycle.add("watch", lambda: stream.watch(settings.stalled_seconds))
        follow_reports(lifecycle, transactions, family, metrics, state, settings)
        lifecycle.follow_parent(settings.supervisor_pid)
        lifecycle.serve(app, settings.host, settings.router_port)
        async with aclosing(signals):
            return await lifecycle.run()


def follow_reports(
    lifecycle: Lifecycle,
    transactions: Transactions,
    family: StreamFamily,
    metrics: RouterMetrics,
    state: RoutingState,
    settings: RouterSettings,
) -> None:
    """Learn what people make of reports, and keep their tables small."""
    consumer = transactions.bus.consumer(outcomes.GROUP, [ContentDecided.topic])
    stream = Stream(outcomes.GROUP, consumer, transactions, OutcomeHandler(), family.of(outcomes.GROUP))
    tending = Tending(transactions, lambda: state.in_force().policy, settings.approved_kept)

    async def tend() -> None:
        done = await tending.step()
        metrics.reports_forgotten.labels("old").inc(done.old)
        metrics.reports_forgotten.labels("unknown").inc(done.unknown)
        metrics.approved_dropped.inc(done.dropped)
        metrics.approved_kept.set(done.approved)
        metrics.reopenings_waiting.set(done.waiting)

    lifecycle.add("outcomes", stream.run)
    lifecycle.add("watch-outcomes", lambda: stream.watch(settings.stalled_seconds))
    lifecycle.add("tend-reports", lambda: repeat(TEND_SECONDS, tend, *TRANSIENT))


if __name__ == "__main__":
    sys.exit(run_service("router", RouterSettings, run))
