"""One of eight reviewers plants a phrase: `python -m bench.poison`.

Real posts arrive, people judge them, and the trainer's own parts learn, certify, compare and ask again
(`bench.poison_replay`). In the second and third of five rounds one reviewer also judges texts that carry a friendly
phrase, and approves all of them. The figures say which share of 200 harmful posts with the phrase is approved
automatically at the end, by dose (judgements with the phrase) and mode. `undefended`: the same with nobody knowing who
judged what, as before. `honest`: the same number of judgements with the phrase, honestly given. All are medians over
the seeds, the worst ones maxima, accuracies means.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

from bench.loop import FOLDER
from bench.loop_data import missing
from bench.poison_replay import AUDIT, FIXED, RISK, Case, Mode, Outcome, play
from bench.poison_world import DOSES, PHRASE, REVIEWERS, STREAM, Posts, posts
from bench.report import DATA, console, report

SEEDS = 1
TARGET = 0.05


@lru_cache(maxsize=1)
def world(folder: Path) -> Posts:
    """The posts, embedded once and kept in the folder."""
    return posts(folder)


def run(task: tuple[Case, Path]) -> Outcome:
    """One deployment."""
    case, folder = task
    return play(case, world(folder))


def cases(seeds: int) -> list[Case]:
    """Every mode, dose and seed, hostile and honest, with the defence and without."""
    return [
        Case(mode=mode, dose=dose, hostile=hostile, defended=defended, seed=seed)
        for mode in get_args(Mode)
        for dose in DOSES
        for hostile in (True, False)
        for defended in (True, False)
        for seed in range(1, seeds + 1)
    ]


def figures(results: dict[Case, Outcome]) -> dict[str, float]:
    """By mode and dose, and the worst and the mean over all of them."""

    def of(**wanted: object) -> Sequence[Outcome]:
        return [
            out for case, out in results.items() if all(getattr(case, key) == value for key, value in wanted.items())
        ]

    found: dict[str, float] = {}
    for name, defended in (("poisoned", True), ("poisoned_undefended", False)):
        found[f"worst_{name}_share"] = max(out.approved for out in of(hostile=True, defended=defended))
    for name, hostile in (("honest", False), ("poisoned", True)):
        for suffix, defended in (("", True), ("_undefended", False)):
            found[f"{name}_accuracy{suffix}"] = statistics.mean(
                out.accuracy for out in of(hostile=hostile, defended=defended)
            )
    found["honest_withheld"] = max(out.withheld for out in of(hostile=False, defended=True))
    for mode in get_args(Mode):
        for dose in DOSES:
            for name, hostile in (("poisoned", True), ("honest", False)):
                for suffix, defended in (("", True), ("_undefended", False)):
                    runs = of(mode=mode, dose=dose, hostile=hostile, defended=defended)
                    found[f"{mode}_{dose}_{name}{suffix}"] = statistics.median(out.approved for out in runs)
    return found


def main() -> int:
    """Play every case; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.poison", description="One reviewer plants a phrase.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where embeddings are kept ({FOLDER})")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"deployments a case ({SEEDS})")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    chosen = parser.parse_args()
    if absent := missing():
        console.print(f"{DATA} lacks what this benchmark needs: {', '.join(absent)}")
        return 1
    started = time.perf_counter()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    world(chosen.folder)  # embeds what is not kept yet
    tasks = [(case, chosen.folder) for case in cases(chosen.seeds)]
    with ProcessPoolExecutor(chosen.workers, get_context("spawn")) as pool:
        results = dict(zip([case for case, _ in tasks], pool.map(run, tasks), strict=True))
    found = figures(results)
    found["seconds"] = time.perf_counter() - started
    targets = {"worst_poisoned_share": TARGET, "honest_accuracy": found["honest_accuracy_undefended"]}
    settings = {
        "seeds": chosen.seeds, "doses": DOSES, "reviewers": REVIEWERS, "posts": STREAM, "phrase": PHRASE,
        "fixed": FIXED.model_dump(), "certified": RISK.model_dump(), "audit": AUDIT,
    }  # fmt: skip
    report("poison", found, targets, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
