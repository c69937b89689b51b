"""Content in, decisions and review requests out: the router's handler of `content.submitted`."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from services.common.clock import Clock
from services.common.errors import InvalidInput
from services.common.events import ContentSubmitted, ContentWithdrawn
from services.common.stream import Item
from services.common.unit_of_work import UnitOfWork
from services.router import repository
from services.router.effects import Effects, Routed, settle
from services.router.intake import check_time
from services.router.metrics import RouterMetrics
from services.router.routing import route
from services.router.state import InForce, Model, RoutingState

Entry = Routed | tuple[Item, ContentWithdrawn]

log = structlog.get_logger()


class Row(NamedTuple):
    """What the model says of one text."""

    scores: list[float]
    embedding: NDArray[np.float32]
    whole: bool


@dataclass(slots=True)
class Plan:
    """A batch, routed; `effects` is known once it is applied."""

    entries: list[Entry]
    refused: list[tuple[Item, InvalidInput]]
    effects: Effects | None = None


class Pipeline:
    """Handler of `content.submitted`. Classifies on one thread beside the event loop."""

    def __init__(self, state: RoutingState, metrics: RouterMetrics, clock: Clock, ahead: timedelta) -> None:
        self._state, self._metrics, self._clock, self._ahead = state, metrics, clock, ahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="classify")

    async def prepare(self, items: Sequence[Item]) -> Plan:
        """Classify and route. One policy and one bundle decide the whole batch."""
        force = self._state.in_force()
        refused: list[tuple[Item, InvalidInput]] = []
        good: list[Item] = []
        now = self._clock.now()
        for item in items:
            try:
                check_time(item.event, now, self._ahead)
                good.append(item)
            except InvalidInput as problem:
                refused.append((item, problem))
        texts = [item.event.text for item in good if isinstance(item.event, ContentSubmitted)]
        rows = iter(await self._classify(force, texts))
        entries: list[Entry] = []
        for item in good:
            if isinstance(item.event, ContentSubmitted):
                entries.append(self._route(item, item.event, force, next(rows)))
            elif isinstance(item.event, ContentWithdrawn):
                entries.append((item, item.event))
        return Plan(entries, refused)

    async def _classify(self, force: InForce, texts: Sequence[str]) -> list[Row | None]:
        if force.model is None or not texts:
            return [None] * len(texts)
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, classify, force.model, texts)
        self._metrics.classify_seconds.observe(time.perf_counter() - started)
        self._metrics.unclassified.inc(rows.count(None))
        return rows

    def _route(self, item: Item, content: ContentSubmitted, force: InForce, row: Row | None) -> Routed:
        scores = force.scores(row.scores) if row is not None else None
        whole = row is not None and row.whole
        routing = route(content, scores, force.thresholds, force.policy, whole=whole)
        # Only a review carries the embedding: decisions have no use for it.
        embedding = pack(row.embedding) if row is not None and routing.why else None
        version = force.model.version if force.model is not None else None
        return Routed(item, content, routing, scores or None, embedding, force.policy_version, version)

    async def apply(self, work: UnitOfWork, plan: Plan) -> None:
        """Write the batch: rows, decisions, review requests, dead letters."""
        now = work.clock.now()
        routed = [entry for entry in plan.entries if isinstance(entry, Routed)]
        revisions = {(e.content.source, e.content.content_id, e.content.revision) for e in routed}
        keys = {(source, content_id) for source, content_id, _ in revisions} | {
            (entry[1].source, entry[1].content_id) for entry in plan.entries if not isinstance(entry, Routed)
        }
        contents = await repository.load_contents(work.connection, keys)
        hashes = await repository.load_hashes(work.connection, revisions)
        plan.effects = settle(plan.entries, contents, hashes, now)
        await repository.save_contents(work.connection, plan.effects.contents)
        await repository.save_revisions(work.connection, plan.effects.revisions, now)
        for event, trace in plan.effects.events:
            work.publish(event, trace)
        for record, problem in [
            *((item.record, problem) for item, problem in plan.refused),
            *plan.effects.dead_letters,
        ]:
            await work.dead_letter(record, problem)

    def committed(self, plan: Plan) -> None:
        if plan.effects is None:
            return
        rows = plan.effects.revisions
        for (way, why), count in Counter((row.route, row.why) for row in rows).items():
            self._metrics.routed.labels(way, why).inc(count)
        for way, count in Counter(row.route for row in rows if row.audited).items():
            self._metrics.audited.labels(way).inc(count)
        self._metrics.duplicates.inc(plan.effects.duplicates)
        self._metrics.withdrawn.inc(plan.effects.withdrawals)


def classify(model: Model, texts: Sequence[str]) -> list[Row | None]:
    """A row a text; None for a text that the model fails on. The texts beside it do not suffer for it."""
    try:
        prediction = model.classify(texts)
        if prediction.scores.shape != (len(texts), len(model.labels)):
            raise ValueError(f"scores of shape {prediction.scores.shape} for {len(texts)} texts")
        scores, whole = prediction.scores.tolist(), prediction.whole.tolist()
        return [Row(*row) for row in zip(scores, prediction.embeddings, whole, strict=True)]
    except Exception as error:
        if len(texts) > 1:
            return [row for text in texts for row in classify(model, [text])]
        log.error("text not classified", bundle=model.version, error=type(error).__name__)
        return [None]


def pack(embedding: NDArray[np.float32]) -> str:
    """Base64 of little-endian float16, as ReviewRequested carries it."""
    return base64.b64encode(embedding.astype("<f2").tobytes()).decode()
