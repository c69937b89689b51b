"""`python -m secondlook.reviewer_api`: puts the service together and runs it."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from secondlook.common.bus import Bus
from secondlook.common.bus.signatures.keeper import Keeper
from secondlook.common.bus.transport import service_bus
from secondlook.common.clock import Clock, SystemClock
from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.events import ContentDecided, PolicyPublished, QualityMeasured, ReviewRequested
from secondlook.common.contract.operations import OperationDone
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.lifecycle import Lifecycle, repeat
from secondlook.common.service.rated import RatedAuthenticator
from secondlook.common.service.runtime import run_service
from secondlook.common.service.stream import Done, Handler, Plan, Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.accounts import routes as accounts_routes
from secondlook.reviewer_api.accounts.keeper import agree as agree_on_keys
from secondlook.reviewer_api.accounts.keys import KeysAndSessions, KeyService
from secondlook.reviewer_api.accounts.passwords import Passwords
from secondlook.reviewer_api.accounts.service import AccountService
from secondlook.reviewer_api.accounts.sign_in import SignIn
from secondlook.reviewer_api.app import Slice, Work, create_reviewer_app
from secondlook.reviewer_api.audit_log import routes as audit_log_routes
from secondlook.reviewer_api.audit_log.service import AuditLogService
from secondlook.reviewer_api.background import routes as background_routes
from secondlook.reviewer_api.background.service import BackgroundService
from secondlook.reviewer_api.bulk import routes as bulk_routes
from secondlook.reviewer_api.bulk.service import BulkService
from secondlook.reviewer_api.console import routes as console_routes
from secondlook.reviewer_api.console.site import Site
from secondlook.reviewer_api.decisions import handler as decisions_handler
from secondlook.reviewer_api.decisions import routes as decisions_routes
from secondlook.reviewer_api.decisions.router import RouterReads
from secondlook.reviewer_api.decisions.service import DecisionService
from secondlook.reviewer_api.feed import routes as feed_routes
from secondlook.reviewer_api.feed.service import Feed
from secondlook.reviewer_api.leads import routes as leads_routes
from secondlook.reviewer_api.leads.service import LeadService
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.oidc import routes as oidc_routes
from secondlook.reviewer_api.oidc.provider import OidcClient, Provider
from secondlook.reviewer_api.oidc.service import OidcSignIn, RoleClaims
from secondlook.reviewer_api.operations import routes as operations_routes
from secondlook.reviewer_api.operations.service import OperationService
from secondlook.reviewer_api.overview import routes as overview_routes
from secondlook.reviewer_api.overview.live import Live
from secondlook.reviewer_api.policies import routes as policies_routes
from secondlook.reviewer_api.policies.keeper import agree
from secondlook.reviewer_api.policies.repository import PolicyRepository
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.reviewer_api.quality import routes as quality_routes
from secondlook.reviewer_api.quality.service import QualityService
from secondlook.reviewer_api.replies import routes as replies_routes
from secondlook.reviewer_api.replies.service import SavedTextService
from secondlook.reviewer_api.reversals import routes as reversals_routes
from secondlook.reviewer_api.reversals.service import ReversalService
from secondlook.reviewer_api.review import handler as review_handler
from secondlook.reviewer_api.review import routes as review_routes
from secondlook.reviewer_api.review.escalations import Escalations
from secondlook.reviewer_api.review.publisher import Publisher
from secondlook.reviewer_api.review.queues import QueueService
from secondlook.reviewer_api.review.service import ReviewService
from secondlook.reviewer_api.search import routes as search_routes
from secondlook.reviewer_api.search.service import SearchService
from secondlook.reviewer_api.settings import ReviewerSettings
from secondlook.reviewer_api.webhooks import routes as webhooks_routes
from secondlook.reviewer_api.webhooks.dispatcher import Dispatcher
from secondlook.reviewer_api.webhooks.service import WebhookService

SCHEMA = "reviewer"
SOURCE = "reviewer-api"
LOOK_SECONDS = 0.1  # how often the feed is looked at while somebody waits for it
LIVE_SECONDS = 0.5  # how often listeners are told what has changed
TIDY_SECONDS = 300.0  # how often sessions that are over are removed
FILL_SECONDS = 86_400.0  # how often, and at the start, open items whose embedding is not kept are looked for
SWEEP_SECONDS = 10.0  # how often items that nobody is left for go to the leads
STORE_SECONDS = 1.0  # how often new quality figures are looked for and stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerApi:
    """The parts of the service, put together and not yet running."""

    app: FastAPI
    slices: Sequence[Slice]
    keys: ApiKeys
    key_service: KeyService
    accounts: AccountService
    reviews: ReviewService
    escalations: Escalations
    leads: LeadService
    policies: PolicyService
    quality: QualityService
    operations: OperationService
    queues: QueueService
    publisher: Publisher
    live: Live
    feed: Feed
    bus_metrics: BusMetrics


def build(settings: ReviewerSettings, database: Database, bus: Bus, clock: Clock) -> ReviewerApi:
    """Put the service together over a database whose schema `reviewer` is migrated."""
    registry, health = CollectorRegistry(), Health()
    family, metrics = StreamFamily(registry, health), ReviewerMetrics(registry)
    transactions, repository = Transactions(database, bus, clock, SOURCE), PolicyRepository()
    keys, policies = ApiKeys(database, clock), PolicyService(transactions, repository)
    key_service = KeyService(transactions)
    accounts, sign_in = AccountService(database, clock), SignIn(database, clock, Passwords())
    callers = RatedAuthenticator(KeysAndSessions(keys, sign_in), settings.key_requests)
    oidc = None
    if (client := OidcClient.of(settings)) is not None:
        claims = RoleClaims(
            username=settings.oidc_username_claim, role=settings.oidc_role_claim, roles=settings.oidc_roles
        )
        oidc = OidcSignIn(database, clock, Provider(client), claims, sign_in, accounts)
    quality, operations = QualityService(database), OperationService(transactions)
    queues = QueueService(transactions, repository, metrics)
    publisher = Publisher(transactions, repository, metrics)
    leads = LeadService(transactions, repository, metrics)
    live = Live(database, queues.all)
    router = RouterReads(settings.router_url) if settings.router_url else None
    private = settings.webhook_private_targets
    feed, dispatcher = Feed(database), Dispatcher(database, clock, metrics, private=private)
    escalations = Escalations(transactions, repository, metrics)
    lease, undo_grace = timedelta(seconds=settings.lease_seconds), timedelta(seconds=settings.undo_grace_seconds)
    reviews = ReviewService(transactions, repository, metrics, lease=lease, undo_grace=undo_grace)
    bulks = BulkService(transactions, repository, metrics, lease=lease, undo_grace=undo_grace)

    def read(group: str, topic: str, handler: Handler[Plan, Done]) -> dict[str, Work]:
        """The work of a slice that reads a topic; the service is not ready before it does."""
        health.wait_for(f"stream:{group}")
        stream = Stream(group, bus.consumer(group, [topic]), transactions, handler, family.of(group))
        return {group: stream.run, f"{group}-watch": partial(stream.watch, settings.stalled_seconds)}

    def every(
        seconds: float,
        work: Callable[[], Coroutine[Any, Any, object]],
        survives: Sequence[type[Exception]] = TRANSIENT,
    ) -> Work:
        return lambda: repeat(seconds, work, *survives)

    slices = [
        Slice(
            routes=accounts_routes.session_routes(sign_in, callers),
            work={"tidy-sessions": every(TIDY_SECONDS, sign_in.tidy)},
        ),
        Slice(routes=oidc_routes.routes(oidc, settings.oidc_name or settings.oidc_issuer)),
        Slice(routes=accounts_routes.account_routes(accounts, key_service, callers)),
        Slice(routes=audit_log_routes.routes(AuditLogService(database), callers)),
        Slice(
            routes=review_routes.routes(reviews, queues, callers),
            work={
                "observe": every(settings.gauge_seconds, queues.measure),
                "escalate": every(SWEEP_SECONDS, escalations.sweep),
                "publisher": every(settings.publish_seconds, publisher.publish_due),
                **read(review_handler.GROUP, ReviewRequested.topic, review_handler.ReviewRequestHandler(metrics)),
            },
        ),
        Slice(routes=bulk_routes.routes(bulks, callers), work={"embeddings": every(FILL_SECONDS, bulks.fill)}),
        Slice(routes=leads_routes.routes(leads, callers)),
        Slice(
            routes=overview_routes.routes(live, database, clock, callers),
            work={"live": every(LIVE_SECONDS, live.look)},
        ),
        Slice(routes=background_routes.routes(BackgroundService(database, clock), callers)),
        Slice(routes=replies_routes.routes(SavedTextService(database, clock), callers)),
        Slice(routes=search_routes.routes(SearchService(database), callers)),
        Slice(routes=reversals_routes.routes(ReversalService(transactions, repository, metrics), callers)),
        Slice(
            routes=decisions_routes.routes(DecisionService(database, router), callers),
            work=read(decisions_handler.GROUP, ContentDecided.topic, decisions_handler.DecisionHandler()),
        ),
        Slice(routes=feed_routes.routes(feed, callers), work={"feed": every(LOOK_SECONDS, feed.look)}),
        Slice(
            routes=webhooks_routes.routes(WebhookService(database, clock, feed, private=private), callers),
            work={"webhooks": dispatcher.run, "tidy-deliveries": every(TIDY_SECONDS, dispatcher.tidy)},
        ),
        Slice(routes=policies_routes.routes(policies, callers)),
        Slice(
            routes=operations_routes.routes(operations, policies, callers),
            work={
                "answers": lambda: bus.follow(OperationDone.topic, operations.on_record, lambda: None),
                "store-answers": every(STORE_SECONDS, operations.store),
            },
        ),
        Slice(
            routes=quality_routes.routes(quality, callers),
            work={
                "quality": lambda: bus.follow(QualityMeasured.topic, quality.on_record, lambda: None),
                # Whatever goes wrong with figures that only people read, reviews carry on.
                "store-quality": every(STORE_SECONDS, quality.store, survives=[Exception]),
            },
        ),
    ]
    slices.append(Slice(routes=console_routes.routes(Site.read())))
    app = create_reviewer_app(slices, health, registry, metrics)
    return ReviewerApi(
        app=app,
        slices=slices,
        keys=keys,
        key_service=key_service,
        accounts=accounts,
        reviews=reviews,
        escalations=escalations,
        leads=leads,
        policies=policies,
        quality=quality,
        operations=operations,
        queues=queues,
        publisher=publisher,
        live=live,
        feed=feed,
        bus_metrics=BusMetrics(registry, health),
    )


async def run(settings: ReviewerSettings) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status.

    Raises:
        ConfigurationError: the database cannot be reached.
    """
    async with Database.open(settings.database_url.get_secret_value(), SCHEMA, size=settings.pool_size) as database:
        bus = await service_bus(settings, database)
        service = build(settings, database, bus, SystemClock())
        lifecycle = Lifecycle()
        # They stop in reverse: HTTP finishes its requests first, then the streams their batch.
        lifecycle.add("bus", lambda: bus.run(service.bus_metrics))
        for part in service.slices:
            for name, work in part.work.items():
                lifecycle.add(name, work)
        lifecycle.add("keep-policy", Keeper(bus, PolicyPublished.topic, partial(agree, service.policies)).run)
        lifecycle.add("keep-keys", Keeper(bus, KeysPublished.topic, partial(agree_on_keys, service.key_service)).run)
        lifecycle.follow_parent(settings.supervisor_pid)

        def end_streams() -> None:
            service.live.end()
            service.feed.end()

        lifecycle.serve(
            service.app, settings.host, settings.api_port, share_port=settings.share_port, on_stop=end_streams
        )
        return await lifecycle.run()


if __name__ == "__main__":
    sys.exit(run_service(SOURCE, ReviewerSettings, run))
