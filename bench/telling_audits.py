"""How well a reviewer can tell audits from other items: `python -m bench.telling_audits`.

A spy with a reviewer's key claims and judges the items of a deployment, and asks every route that the key opens about
each item in hands: before and after the verdict, with names that can be computed from what is public, and with a watch
(`bench.telling_world`, `bench.telling_marks`). Then classifiers learn to tell the audits from all that was noted, by
cross-validation: on everything, and on each kind of mark alone. `auc` is the best attacker's, `auc_upper` the upper end
of its 95 % bootstrap interval; 0.5 is chance. `_second_looks` is the same for second looks.

The texts of audits and of other items are drawn alike here. In truth they differ, since an audit is of an item that the
model was sure about, and a reviewer must see the text: the attack is on what the API adds to it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.report import console, report
from bench.telling_world import run
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.bundle.arrays import Array
from secondlook.common.contract.events import Why
from secondlook.common.migrate import migrate_schemas

ITEMS, SEED, FOLDS, RESAMPLED = 5_000, 1, 5, 1_000
TARGETS = {"auc_upper": 0.6, "auc_upper_second_looks": 0.6}
# By kind of mark, the words that its names hold.
KINDS: Mapping[str, Sequence[str]] = {
    "ids": ("bit", "id of", "coin by", "undo names"),
    "order": ("later", "earlier", "latest", "earliest", "turn", "place", "reports", "age"),
    "answers": ("status", "size", "says", "fields", "nulls", "why", "queue", "due"),
    "time": ("seconds", "time of"),
}


def attackers() -> dict[str, Any]:
    """Classifiers, by name."""
    return {
        "gradient boosting": HistGradientBoostingClassifier(max_iter=150, max_leaf_nodes=15, random_state=SEED),
        "random forest": RandomForestClassifier(200, min_samples_leaf=5, n_jobs=2, random_state=SEED),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
    }


def attack(marks: Sequence[Mapping[str, float]], told: Sequence[bool]) -> dict[str, Array]:
    """The chance of each item to be one of those told, by each attacker, who has not seen the item's fold."""
    names = list(marks[0])
    table, truth = np.array([[row[name] for name in names] for row in marks], float), np.array(told)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    found: dict[str, Array] = {}
    for name, model in attackers().items():
        found[f"{name} on everything"] = cross_val_predict(model, table, truth, cv=folds, method="predict_proba")[:, 1]
    for kind, words in KINDS.items():
        columns = [number for number, name in enumerate(names) if any(word in name for word in words)]
        model = attackers()["gradient boosting"]
        found[f"gradient boosting on {kind}"] = cross_val_predict(
            model, table[:, columns], truth, cv=folds, method="predict_proba"
        )[:, 1]
    return found


def best(guesses: Mapping[str, Array], told: Sequence[bool]) -> tuple[str, float, float]:
    """The best attacker, its AUC, and the upper end of the 95 % interval of that by bootstrap."""
    truth = np.array(told)
    scores = {name: float(roc_auc_score(truth, guess)) for name, guess in guesses.items()}
    name = max(scores, key=lambda each: scores[each])
    chance = np.random.default_rng(SEED)
    drawn: list[float] = []
    while len(drawn) < RESAMPLED:
        rows = chance.integers(0, len(truth), len(truth))
        if 0 < truth[rows].sum() < len(rows):
            drawn.append(roc_auc_score(truth[rows], guesses[name][rows]))
    return name, scores[name], float(np.quantile(drawn, 0.975))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS, help=f"items that come in ({ITEMS})")
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="second-look-") as folder, embedded_postgres(Path(folder)) as server:
        asyncio.run(migrate_schemas(server.url))
        marks, why = asyncio.run(run(server.url, chosen.items, SEED))
    figures: dict[str, float] = {"items": len(marks), "marks": len(marks[0])}
    spent = time.monotonic() - start
    console.print(f"{len(marks):,} items and {len(marks[0])} marks of each noted in {spent:.0f} s")
    for ending, kind in (("", Why.AUDIT), ("_second_looks", Why.SECOND_LOOK)):
        among = [number for number, each in enumerate(why) if each in (kind, Why.UNCERTAIN)]
        told = [why[number] == kind for number in among]
        guesses = attack([marks[number] for number in among], told)
        name, auc, upper = best(guesses, told)
        console.print(f"{kind}: {sum(told)} of {len(told)}; the best of {len(guesses)} attackers: {name}")
        for attacker, guess in guesses.items():
            console.print(f"  {attacker}: {roc_auc_score(told, guess):.3f}")
        figures |= {f"auc{ending}": auc, f"auc_upper{ending}": upper, f"told{ending or '_audits'}": sum(told)}
        figures[f"attackers{ending}"] = len(guesses)
    figures |= {"seconds_noting": spent, "seconds": time.monotonic() - start}
    report("telling_audits", figures, TARGETS, {"items": chosen.items, "seed": SEED, "folds": FOLDS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
