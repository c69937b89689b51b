"""How long bundles take for a text, measured side by side."""

import time
from collections.abc import Sequence

from secondlook.common.bundle.store import Bundle

TEXTS, ROUNDS = 64, 8  # texts of a pass, and passes of each bundle


def seconds_a_text(bundles: Sequence[Bundle], texts: Sequence[str]) -> list[float | None]:
    """The fastest of several passes of each over the first texts; None without any.

    They take turns, so that other load falls on all alike.
    """
    texts = texts[:TEXTS]
    best: list[float | None] = [None] * len(bundles)
    for _ in range(ROUNDS if texts else 0):
        for number, bundle in enumerate(bundles):
            began = time.perf_counter()
            bundle.classifier.predict(texts)
            seconds = (time.perf_counter() - began) / len(texts)
            best[number] = min(seconds, best[number] or seconds)
    return best
