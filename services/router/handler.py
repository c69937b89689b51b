"""Content in, decisions and review requests out: the router's handler of `content.submitted`."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from secondlook.common.clock import Clock
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.reports import ContentReported
from secondlook.common.errors import InvalidInput
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.common.text.scope import Scope
from secondlook.router import repository
from secondlook.router.answers import Routed
from secondlook.router.classify import Classified, classify
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.effects import effects_of
from secondlook.router.identity.admission import check_time
from secondlook.router.identity.changes import Effects
from secondlook.router.identity.standing import ContentRow, Key
from secondlook.router.metrics import RouterMetrics
from secondlook.router.priority import Places
from secondlook.router.reports import repository as reports
from secondlook.router.reports.book import LatestRevision, ReportBook
from secondlook.router.routing import Routing, route
from secondlook.router.shadow import Shadow
from secondlook.router.signals.asking import AskedSignals, ToldContent
from secondlook.router.state import InForce, RoutingState, Stages

Entry = Routed | tuple[Item, ContentWithdrawn | ContentReported]


@dataclass(frozen=True, slots=True)
class RoutedBatch:
    """A batch with its routings, and the bundles that they come from. `refused` goes to the dead letters."""

    entries: Sequence[Entry]
    refused: Sequence[tuple[Item, InvalidInput]]
    stages: Stages


@dataclass(frozen=True, slots=True)
class WrittenBatch:
    """A batch, and the changes that it made."""

    batch: RoutedBatch
    effects: Effects


class ContentHandler:
    """Handler of `content.submitted`. Classifies on one thread beside the event loop."""

    def __init__(
        self,
        state: RoutingState,
        metrics: RouterMetrics,
        clock: Clock,
        ahead: timedelta,
        secret: CoinSecret,
        signals: AskedSignals,
    ) -> None:
        self._state, self._metrics, self._clock, self._ahead = state, metrics, clock, ahead
        self._secret, self._signals, self._places = secret, signals, Places()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="classify")
        self._shadow = Shadow(metrics)

    async def prepare(self, items: Sequence[Item]) -> RoutedBatch:
        """Classify and route. One policy decides the whole batch, and one bundle unless a canary is in force."""
        stages = self._state.stages()
        refused: list[tuple[Item, InvalidInput]] = []
        good: list[Item] = []
        now = self._clock.now()
        for item in items:
            try:
                check_time(item.event, now, self._ahead)
                good.append(item)
            except InvalidInput as problem:
                refused.append((item, problem))
        submitted = [item.event for item in good if isinstance(item.event, ContentSubmitted)]
        told = await self._signals.gather(stages.active.policy, submitted)
        scored = await self._score(stages, [each.content for each in told])
        rows = iter(zip(told, scored, strict=True))
        entries: list[Entry] = []
        for item in good:
            if isinstance(item.event, ContentSubmitted):
                each, (force, row) = next(rows)
                entries.append(self._route(item, each, force, row))
            elif isinstance(item.event, ContentWithdrawn | ContentReported):
                entries.append((item, item.event))
        return RoutedBatch(entries, refused, stages)

    async def _score(
        self, stages: Stages, contents: Sequence[ContentSubmitted]
    ) -> Sequence[tuple[InForce, Classified | None]]:
        """The bundle that decides each item, and its prediction; where the canary fails, the active bundle decides."""
        active, canary = stages.active, stages.canary
        if canary is None:
            return [(active, row) for row in await self._classify_active(active, contents)]
        taken = [canary.takes(content, self._secret) for content in contents]
        rows = iter(await self._classify(canary.force, list(compress(contents, taken))))
        tried = [next(rows) if takes else None for takes in taken]
        decided = [row is not None and canary.force.scores(row.scores) is not None for row in tried]
        self._metrics.stage_failed.labels("canary").inc(sum(taken) - sum(decided))
        left = [content for content, done in zip(contents, decided, strict=True) if not done]
        rows = iter(await self._classify_active(active, left))
        return [(canary.force, row) if done else (active, next(rows)) for row, done in zip(tried, decided, strict=True)]

    async def _classify_active(self, active: InForce, contents: Sequence[ContentSubmitted]) -> list[Classified | None]:
        if active.model is None:
            return [None] * len(contents)
        rows = await self._classify(active, contents)
        self._metrics.unclassified.inc(rows.count(None))
        return rows

    async def _classify(self, force: InForce, contents: Sequence[ContentSubmitted]) -> list[Classified | None]:
        if force.model is None or not contents:
            return []
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        with self._shadow.held_back():
            rows = await loop.run_in_executor(self._thread, classify, force.model, contents)
        self._metrics.classify_seconds.observe(time.perf_counter() - started)
        return rows

    def _route(self, item: Item, told: ToldContent, force: InForce, row: Classified | None) -> Routed:
        content = told.content
        scores = force.scores(row.scores) if row is not None else None
        scope, detail = (row.scope, row.detail) if row is not None else (Scope.LONG, "")
        u = self._secret.flip(content)
        routing = route(
            content, scores, force.thresholds, force.policy, u=u, scope=scope, detail=detail, rates=force.rates,
            missing=told.missing,
        )  # fmt: skip
        routing = self._placed(routing, content)
        # Only a review carries the embedding: decisions have no use for it. Without text, all would be near copies.
        embedding = pack(row.embedding) if row is not None and routing.why and content.text else None
        return Routed(
            item=item,
            content=content,
            routing=routing,
            scores=scores or None,
            embedding=embedding,
            policy=force.policy,
            policy_version=force.policy_version,
            bundle_version=force.version,
            scope=scope,
        )

    def _placed(self, routing: Routing, content: ContentSubmitted) -> Routing:
        """What the coin drew, in the place of another item."""
        if routing.drawn:
            return routing._replace(priority=self._places.pick(self._secret.place(content)))
        if routing.why is not None:
            self._places.keep(routing.priority)
        return routing

    async def apply(self, work: UnitOfWork, plan: RoutedBatch) -> WrittenBatch:
        """Write the batch: rows, decisions, review requests, dead letters.

        Raises:
            Overtaken: another transaction was the first to write some of it.
        """
        now = work.clock.now()
        routed = [entry for entry in plan.entries if isinstance(entry, Routed)]
        revisions = {(e.content.source, e.content.content_id, e.content.revision) for e in routed}
        keys = {(source, content_id) for source, content_id, _ in revisions} | {
            (entry[1].source, entry[1].content_id) for entry in plan.entries if not isinstance(entry, Routed)
        }
        contents = await repository.load_contents(work.connection, keys)
        known = await repository.load_revisions(work.connection, revisions)
        policy = plan.stages.active.policy
        book = await self._reports(work, plan, contents, policy)
        effects = effects_of(plan.entries, contents, known, now, book, policy)
        await repository.save_contents(work.connection, effects.contents, contents)
        await reports.save_book(work.connection, book, now)
        await repository.keep_promises(work.connection, effects.promised)
        await repository.save_revisions(work.connection, effects.revisions, now)
        for event, trace in effects.events:
            work.publish(event, trace)
        for record, problem in [
            *((item.record, problem) for item, problem in plan.refused),
            *effects.dead_letters,
        ]:
            await work.dead_letter(record, problem)
        return WrittenBatch(plan, effects)

    async def _reports(
        self, work: UnitOfWork, plan: RoutedBatch, contents: Mapping[Key, ContentRow], policy: Policy | None
    ) -> ReportBook:
        """What is stored of the reports of a batch. A batch without any costs nothing."""
        events = [e[1] for e in plan.entries if not isinstance(e, Routed) and isinstance(e[1], ContentReported)]
        keys = {(event.source, event.content_id) for event in events}
        keys |= {key for key, row in contents.items() if row.reported}
        ids = {(event.source, event.report_id) for event in events}
        book = await reports.load_book(work.connection, sorted(keys), sorted(ids), policy, work.clock.now())
        await reports.count_read(work.connection, len(events))
        reporters = {(event.source, event.reporter) for event in events}
        for source, content_id in keys:
            reporters |= {(source, kept.reporter) for kept in book.reports.get((source, content_id), {}).values()}
        if keys:
            book.records = await reports.load_records(work.connection, sorted(reporters))
            uniform = policy.audit.certify if policy is not None else 0.0
            for key, latest in (await reports.load_latest(work.connection, sorted(keys))).items():
                drawn = latest.audited or self._secret.flip_of(*key, latest.revision) < uniform
                book.latest[key] = LatestRevision(latest.route, latest.scores, drawn)
        return book

    def committed(self, done: WrittenBatch) -> None:
        plan, effects = done.batch, done.effects
        rows, canary, shadow = effects.revisions, plan.stages.canary, plan.stages.shadow
        by_canary = canary.force.version if canary is not None else None
        for (way, why, version), count in Counter((row.route, row.why, row.bundle_version) for row in rows).items():
            stage = "canary" if version is not None and version == by_canary else "active"
            self._metrics.routed.labels(way, why, stage).inc(count)
        for way, count in Counter(row.route for row in rows if row.audited).items():
            self._metrics.audited.labels(way).inc(count)
        routed = [entry for entry in plan.entries if isinstance(entry, Routed)]
        for scope, count in Counter(entry.scope for entry in routed if entry.scores is not None).items():
            if scope is not Scope.FITS:
                self._metrics.out_of_scope.labels(scope.name.lower()).inc(count)
        self._metrics.duplicates.inc(effects.duplicates)
        self._metrics.withdrawn.inc(effects.withdrawals)
        self._metrics.remembered.inc(effects.remembered)
        self._metrics.raised.inc(effects.raised)
        for result, count in effects.reports.items():
            self._metrics.reports.labels(result).inc(count)
        for reporters, count in effects.reopened.items():
            self._metrics.reopened.labels(reporters).inc(count)
        if shadow is not None:
            self._shadow.offer(shadow, [r for r in routed if r.bundle_version == plan.stages.active.version])


def pack(embedding: NDArray[np.float32]) -> str:
    """Base64 of little-endian float16, as ReviewRequested carries it."""
    return base64.b64encode(embedding.astype("<f2").tobytes()).decode()
