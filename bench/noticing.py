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

STREAMS, WITHIN = 50, 400
TARGETS = {"noticed_within_400": 0.8, "false_notices": 0.05}
Task = tuple[int, bool, Path]


def run(task: Task) -> tuple[int | None, int]:
    """(items from the change to the notice, notices before the change) of a stream; without a change, all are
    before."""
    seed, changes, folder = task
    corpus, traffic, _, new = world("convabuse", folder)
    plan = NEW_PLANS["convabuse"]
    if changes:
        rows, onset = shuffled(traffic, new, plan.new_share, seed)
        rows = rows[: onset + 2 * WITHIN]
    else:
        order = np.random.default_rng(seed).permutation(len(traffic))
        rows, onset = [traffic[i] for i in order], len(order)
    noticed = [event.items for event in replay(plan, rows, corpus, seed).events if event.what == "noticed"]
    after = [items - onset for items in noticed if items >= onset]
    return (min(after) if changes and after else None), sum(items < onset for items in noticed)


def main() -> None:
    started = time.perf_counter()
    FOLDER.mkdir(parents=True, exist_ok=True)
    world("convabuse", FOLDER)
    tasks: list[Task] = [(seed, changes, FOLDER) for changes in (True, False) for seed in range(STREAMS)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        results = list(pool.map(run, tasks))
    changed, steady = results[:STREAMS], results[STREAMS:]
    delays = [delay for delay, _ in changed if delay is not None]
    figures = {
        "noticed_within_400": sum(delay <= WITHIN for delay in delays) / STREAMS,
        "items_median": statistics.median(delays) if delays else 0.0,
        "false_notices": statistics.mean(before > 0 for _, before in steady),
        "notices_before_the_change": statistics.mean(before > 0 for _, before in changed),
        "seconds": time.perf_counter() - started,
    }
    report("noticing", figures, TARGETS, {"streams": STREAMS, "new_share": NEW_PLANS["convabuse"].new_share})


if __name__ == "__main__":
    main()
