"""A whole deployment replayed on real traffic with real reviewers: `python -m bench.loop`.

Items arrive in a shuffled order that a seed fixes; `bench.loop_replay` decides and learns with the product's own parts,
beside fixed thresholds of 0.9 and 0.1, full automation and people alone on the same items and the same models: models
of the labels that the loop had asked for, audits included, which the other strategies do not pay for. A second run of
each stream brings, half-way, a kind of harm that no model has seen. Figures are medians over the streams; their names
end in the strategy, and without one they are of Second Look. Errors are against the majority; `_by_answers`, which is
what a certificate speaks of, against a person who judged the item.

`_before` are the figures of the method before, which certified on what the audit coin drew out of all traffic (30 % and
15 % of it) in numbered attempts; its results are kept in `results/loop_before.json`. `_strict`: at 10 % and 3 %.

Risks are what these sets can show: a single reviewer differs from the majority on the clean items (4 % of them in
convabuse, 10 % in davidson) and on the harmful ones (10 % and 3 %), so that no threshold keeps a smaller risk than that
of the easy items among them. Hence the plans below; 1 % would stay off for good. Convabuse has too few abusive items
for any rejection to be certified: that side stays off.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from bench.loop_data import Plan, Row, familiar, load, missing, shuffled
from bench.loop_features import Corpus, read_corpus
from bench.loop_measure import Measured, measure, measure_new_harm
from bench.loop_picture import draw
from bench.loop_replay import replay
from bench.report import DATA, RESULTS, console, report
from secondlook.common.contract.policy import Risk

PLANS = {
    "convabuse": Plan("convabuse", ("abusive",), Risk(approve=0.08, reject=0.20), audit=0.02, batch=20, new_share=0.2),
    "davidson": Plan("davidson", ("offensive",), Risk(approve=0.20, reject=0.05), audit=0.02, batch=100, new_share=0.1),
}
# Beside posts that are easy to approve, davidson's traffic can keep a smaller risk.
NEW_PLANS = {**PLANS, "davidson": replace(PLANS["davidson"], risk=Risk(approve=0.08, reject=0.05))}
STRICT = replace(PLANS["davidson"], risk=Risk(approve=0.10, reject=0.03))
FOLDER = Path(".secondlook/bench")
SEEDS = 5
SHOWN = ("reviews_share", "auto_share", "auto_error", "first_automatic_item", "error_human")
SPENT = ("audit", "new_share", "batch", "growth")
YES_NO = ("noticed_without_harm", "noticed", "noticed_by_alarm", "noticed_by_certification", "noticed_by_load")
Kind = Literal["steady", "new", "strict"]
Task = tuple[str, Kind, int, Path]
DRAWN: tuple[Kind, Kind] = ("steady", "new")
TASKS: tuple[tuple[str, Kind], ...] = (
    ("davidson", "new"), ("davidson", "steady"), ("convabuse", "new"), ("convabuse", "steady"), ("davidson", "strict"),
)  # fmt: skip


@lru_cache(maxsize=2)
def world(name: str, folder: Path) -> tuple[Corpus, list[Row], list[Row], list[Row]]:
    """The corpus of a plan, its traffic, what is familiar beside it, and the new kind of harm."""
    traffic, new = load(name)
    beside = familiar() if name == "davidson" else []
    texts = [row.content.text for row in [*traffic, *beside, *new]]
    return read_corpus(texts, PLANS[name].labels, folder), traffic, beside, new


def run(task: Task) -> Measured:
    """One deployment on the stream of a seed: in steady traffic, with a new kind of harm, or under smaller risks."""
    name, kind, seed, folder = task
    corpus, traffic, beside, new = world(name, folder)
    if kind == "new":
        plan = NEW_PLANS[name]
        rows, onset = shuffled([*traffic, *beside], new, plan.new_share, seed)
        return measure_new_harm(replay(plan, rows, corpus, seed), onset)
    plan = STRICT if kind == "strict" else PLANS[name]
    steady = [*traffic, *new] if name == "convabuse" else traffic
    return measure(replay(plan, shuffled(steady, (), plan.new_share, seed)[0], corpus, seed))


def medians(name: str, runs: Sequence[Measured]) -> dict[str, float]:
    """Over the runs that have the figure, and nothing where none has; of yes and no, the share of yes."""
    found = {}
    for key in runs[0].figures:
        values = [float(run.figures[key]) for run in runs if not math.isnan(run.figures[key])]
        if values:
            middle = statistics.mean if key in YES_NO else statistics.median
            found[f"{name}_{key}"] = middle(values)
    return found


def over_risk(name: str, runs: Sequence[Measured], risk: Risk) -> dict[str, float]:
    """Share of the streams in which a side's automatic decisions are wrong more often than its risk, as people say."""
    found = {}
    for suffix in ("", "_fixed", "_automatic"):
        for outcome, allowed in (("approve", risk.approve), ("reject", risk.reject)):
            key = f"auto_error_{outcome}_by_answers{suffix}"
            found[f"{name}_{outcome}_over_risk{suffix}"] = statistics.mean(run.figures[key] > allowed for run in runs)
    return found


def noticed(name: str, runs: Sequence[Measured]) -> dict[str, float]:
    """Over the streams in which something was approved automatically when the new kind of harm came up."""
    approving = [run for run in runs if run.figures["approving_at_onset"]]
    share = {f"{name}_approving_at_onset": len(approving) / len(runs)}
    return {**share, **medians(name, approving)} if approving else share


def main() -> int:
    """Replay everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.loop", description="A whole deployment replayed.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where embeddings are kept ({FOLDER})")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"streams a data set ({SEEDS})")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    chosen = parser.parse_args()
    if absent := missing():
        console.print(f"{DATA} lacks what this benchmark needs: {', '.join(absent)}")
        return 1
    started = time.perf_counter()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in PLANS:
        world(name, chosen.folder)  # embeds what is not kept yet
    seeds = range(1, chosen.seeds + 1)
    tasks: list[Task] = [(name, kind, seed, chosen.folder) for name, kind in TASKS for seed in seeds]
    with ProcessPoolExecutor(chosen.workers, get_context("spawn")) as pool:
        results = dict(zip(tasks, pool.map(run, tasks), strict=True))
    grouped = {(name, kind): [results[name, kind, seed, chosen.folder] for seed in seeds] for name, kind in TASKS}
    figures: dict[str, float] = {}
    for name, plan in PLANS.items():
        steady = grouped[name, "steady"]
        figures |= medians(name, steady) | over_risk(name, steady, plan.risk)
        figures |= {f"{name}_target_approve": plan.risk.approve, f"{name}_target_reject": plan.risk.reject}
        figures |= noticed(name, grouped[name, "new"])
    strict = medians("davidson", grouped["davidson", "strict"])
    figures |= {f"{key}_strict": strict[key] for key in map("davidson_{}".format, SHOWN) if key in strict}
    over = over_risk("davidson", grouped["davidson", "strict"], STRICT.risk)
    figures |= {f"{key}_strict": over[key] for key in ("davidson_approve_over_risk", "davidson_reject_over_risk")}
    before = json.loads((RESULTS / "loop_before.json").read_text(encoding="utf-8"))["figures"]
    figures |= {f"{name}_{key}_before": before[f"{name}_{key}"] for name in PLANS for key in SHOWN
                if f"{name}_{key}" in before}  # fmt: skip
    figures["seconds"] = time.perf_counter() - started
    steady_runs, new_runs = ({name: grouped[name, kind] for name in PLANS} for kind in DRAWN)
    draw(steady_runs, new_runs, RESULTS / "loop.svg")
    targets = {f"{name}_auto_error": figures[f"{name}_target"] for name in PLANS if f"{name}_target" in figures}
    targets |= {"davidson_reviews_share": 0.40, "davidson_reviews_share_strict": 0.60}
    spent = {f"{name}_{key}": getattr(plan, key) for name, plan in PLANS.items() for key in SPENT}
    spent |= {f"{name}_new_risk": plan.risk.model_dump() for name, plan in NEW_PLANS.items()}
    report("loop", figures, targets, {"seeds": chosen.seeds, **spent})
    return 0


if __name__ == "__main__":
    sys.exit(main())
