"""How soon a new kind of harm is noticed, and how often nothing is: `python -m bench.noticing`.

Deployments replayed on real conversations (`bench.loop_replay`): from half-way on, a kind of harm that no model has
seen makes up 20 % of the traffic; beside them, the same streams without it. What is noticed is that people find more
harm than the model in force let expect.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.loop import FOLDER, NEW_PLANS, world
from bench.loop_data import shuffled
from bench.loop_replay import replay
from bench.report import report

STREAMS, WITHIN, LONGER = 50, 400, 1_000
SHARES = (0.2, 0.1, 0.0)  # of the new kind of harm
TARGETS = {"noticed_within_400": 0.8, "false_notices": 0.05}
Task = tuple[int, float, Path]


def run(task: Task) -> tuple[int | None, int]:
    """(items from the change to the notice, notices before the change) of a stream; without a change, all are
    before."""
    seed, share, folder = task
    corpus, traffic, _, new = world("convabuse", folder)
    plan = NEW_PLANS["convabuse"]
    if share:
        rows, onset = shuffled(traffic, new, share, seed)
        rows = rows[: onset + LONGER]
    else:
        order = np.random.default_rng(seed).permutation(len(traffic))
        rows, onset = [traffic[i] for i in order], len(order)
    noticed = [event.items for event in replay(plan, rows, corpus, seed).events if event.what == "noticed"]
    after = [items - onset for items in noticed if items >= onset]
    return (min(after) if share and after else None), sum(items < onset for items in noticed)


def main() -> None:
    started = time.perf_counter()
    FOLDER.mkdir(parents=True, exist_ok=True)
    world("convabuse", FOLDER)
    tasks: list[Task] = [(seed, share, FOLDER) for share in SHARES for seed in range(STREAMS)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        results = list(pool.map(run, tasks))
    changed, rarer, steady = (results[start : start + STREAMS] for start in range(0, len(results), STREAMS))
    delays = [delay for delay, _ in changed if delay is not None]
    figures = {
        "noticed_within_400": sum(delay <= WITHIN for delay in delays) / STREAMS,
        "items_median": statistics.median(delays) if delays else 0.0,
        "half_the_share_noticed_within_1000": sum(delay is not None for delay, _ in rarer) / STREAMS,
        "false_notices": statistics.mean(before > 0 for _, before in steady),
        "notices_before_the_change": statistics.mean(before > 0 for _, before in [*changed, *rarer]),
        "seconds": time.perf_counter() - started,
    }
    report("noticing", figures, TARGETS, {"streams": STREAMS, "new_share": SHARES[0]})


if __name__ == "__main__":
    main()
