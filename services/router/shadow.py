"""The shadow bundle scores items that the active bundle decided. The router counts the differences and acts on none."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import structlog

from secondlook.router.answers import Routed
from secondlook.router.classify import classify
from secondlook.router.metrics import RouterMetrics
from secondlook.router.routing import route
from secondlook.router.state import InForce

CHUNK = 8

log = structlog.get_logger()


class Shadow:
    """Compares on a thread of its own, one batch at a time. Nothing waits for it, and its errors are only counted.

    Both models need the same cores, so the shadow works only while the active bundle and the canary have nothing to
    classify, and on at most CHUNK texts at once. On a router that is always busy it skips almost everything.
    """

    def __init__(self, metrics: RouterMetrics) -> None:
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._room = threading.Semaphore(2)  # the batch in work and the one that waits
        self._quiet = threading.Event()
        self._quiet.set()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Keep the shadow from starting another chunk meanwhile."""
        self._quiet.clear()
        try:
            yield
        finally:
            self._quiet.set()

    def offer(self, shadow: InForce, routed: Sequence[Routed]) -> None:
        """Compare with what the active bundle decided under the same policy; skipped while another batch waits."""
        if not routed:
            return
        if not self._room.acquire(blocking=False):
            self._metrics.shadow_skipped.inc(len(routed))
            return

        def done(comparing: Future[None]) -> None:
            self._room.release()
            error = comparing.exception()
            if error is not None:
                self._metrics.stage_failed.labels("shadow").inc(len(routed))
                log.error("shadow failed", bundle=shadow.version, error=type(error).__name__)

        try:
            comparing = self._thread.submit(self._compare, shadow, routed)
        except RuntimeError as error:  # no thread can be started
            comparing = Future()
            comparing.set_exception(error)
        comparing.add_done_callback(done)

    def _compare(self, shadow: InForce, routed: Sequence[Routed]) -> None:
        if shadow.model is None:
            return
        contents, rows, seconds = [entry.content for entry in routed], [], 0.0
        for start in range(0, len(contents), CHUNK):
            self._quiet.wait()
            started = time.perf_counter()
            rows += classify(shadow.model, contents[start : start + CHUNK])
            seconds += time.perf_counter() - started
        routes: Counter[tuple[str, str]] = Counter()
        for entry, row in zip(routed, rows, strict=True):
            scores = shadow.scores(row.scores) if row is not None else None
            if row is None or scores is None:
                continue
            would = route(entry.content, scores, shadow.thresholds, shadow.policy, u=entry.routing.u, scope=row.scope)
            routes[entry.routing.route, would.route] += 1
            for label, score in (entry.scores or {}).items():
                self._metrics.shadow_difference.labels(label).observe(abs(score - scores[label]))
        for pair, count in routes.items():
            self._metrics.shadow_routed.labels(*pair).inc(count)
        self._metrics.stage_failed.labels("shadow").inc(len(routed) - routes.total())
        self._metrics.shadow_seconds.observe(seconds)
