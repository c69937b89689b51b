"""Watches what people say of items that the active model scored, and tells when harm has risen."""

from dataclasses import dataclass, field

import numpy as np
import structlog

from secondlook.common.bundle.classifier import Floats
from secondlook.common.contract.policy import Policy
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.noticing.rise import HarmDetector
from secondlook.trainer.registry import Registry
from secondlook.trainer.runs import Runs

# Without reversals and what users reported: people chose them, and their items were decided before.
JUDGED = """
SELECT l.received, l.scores, l.labels, a.embedding, a.reports
FROM label l JOIN bundle b USING (bundle_version) LEFT JOIN asked a USING (source, content_id, revision)
WHERE b.weights = $1 AND l.received > $2 AND l.adjudicated AND l.scores IS NOT NULL AND l.labels <> '{}'
  AND l.stratum NOT IN ('reversal', 'reported')
ORDER BY l.received LIMIT 20000
"""
# Once in 14 days for the same weights. A trainer that starts again reads all of it again, and finds what it had found.
KEEP = """
INSERT INTO notice (weights, received, items, noticed_at)
SELECT $1, $2, $3, $4 WHERE NOT EXISTS (
    SELECT FROM notice WHERE weights = $1 AND noticed_at > $4::timestamptz - interval '14 days')
ON CONFLICT DO NOTHING RETURNING received
"""

log = structlog.get_logger()


@dataclass(slots=True)
class Watched:
    """What is known of the weights that are active."""

    weights: str = ""
    mark: int = 0
    detector: HarmDetector = field(default_factory=HarmDetector)


class HarmWatch:
    """Warns, has as much audited as the policy allows, and asks for a refit; it promotes and switches off nothing.

    The review band is judged whole, and in automatic sides the coin draws, so new harm shows where the model expected
    little of it. Run one a deployment.
    """

    def __init__(self, transactions: Transactions, registry: Registry, runs: Runs, metrics: TrainerMetrics) -> None:
        self._transactions, self._registry = transactions, registry
        self._runs, self._metrics = runs, metrics
        self._watched = Watched()

    async def step(self, policy: Policy) -> None:
        """Take in the judgements since the last step."""
        active = await self._registry.active()
        if active is None:
            return
        if active.weights != self._watched.weights:
            self._watched = Watched(active.weights)
        watched = self._watched
        rows = await self._transactions.database.pool.fetch(JUDGED, watched.weights, watched.mark)
        for row in rows:
            watched.mark = row["received"]
            scores = [score for label, score in row["scores"].items() if label in policy.labels]
            said = [value for label, value in row["labels"].items() if label in policy.labels]
            if not scores or not said:
                continue
            items = watched.detector.items
            embedding, reported = _read(row["embedding"]), bool(row["reports"])
            if watched.detector.add(max(scores), any(said), embedding, reported=reported):
                await self._notice(watched, items + 1)

    async def _notice(self, watched: Watched, items: int) -> None:
        now = self._transactions.clock.now()
        async with self._transactions.begin() as work:
            new = await work.connection.fetchval(KEEP, watched.weights, watched.mark, items, now)
            if new is None:
                return
            await self._registry.publish_again(work)
        self._metrics.noticed.inc()
        log.warning("more harm than the model lets expect", weights=watched.weights, judged=items)
        await self._runs.request("noticed", now)


def _read(embedding: bytes | None) -> Floats | None:
    found = None if embedding is None else np.frombuffer(embedding, "<f2").astype(np.float32)
    return found if found is not None and np.isfinite(found).all() else None
