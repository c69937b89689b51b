"""What becomes of texts that are rejected automatically once they are written to get around the filter.

`python -m bench.evasion` (or `make bench-evasion`). Each text is disguised in twelve ways (`bench/disguises.py`), on
three sets, and decided by two classifiers with the same weights and thresholds: one as it was before (features of
version 1, no profile), one as bundles are made now.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.disguises import DISGUISES
from bench.report import DATA, console, report
from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.sides import APPROVE, SideDecisions, decisions, reach, reject
from secondlook.common.contract.policy import Thresholds
from secondlook.trainer.data.splits import group_keys, own_draw
from secondlook.trainer.data.starter import LABELS, starter_set
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.material import SPEC
from secondlook.trainer.model.profile import profile_of

SETS = {"davidson": "offensive", "hatecheck": "hate", "starter": None}
FITTED, CLEAN, DISGUISED = 2_000, 1_000, 60  # rows to fit on, to measure clean text on, and positives to disguise
RISK_APPROVE, RISK_REJECT = 0.01, 0.03  # errors on the clean rows that the thresholds allow
TARGETS = {"worst_approved_share": 0.02, "clean_review_rise": 0.02}


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts and whether each of `labels` applies, float64[n, labels], in an order that says nothing."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    targets: Array

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.labels, self.texts[start:stop], self.targets[start:stop])


def load(name: str) -> Rows:
    """A set, near copies beside each other."""
    label = SETS[name]
    if label is None:
        found = [(example.text, [float(example.labels[each]) for each in LABELS]) for example in starter_set()]
    else:
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            known = [row for row in map(json.loads, lines) if label in row["labels"]]
        found = [(row["text"], [float(row["labels"][label])]) for row in known]
    found.sort(key=lambda row: own_draw(group_keys(row[0])[0]))
    labels = LABELS if label is None else (label,)
    return Rows(tuple(labels), tuple(text for text, _ in found), np.array([targets for _, targets in found]))


def thresholds_for(rows: Rows, scores: Array) -> Thresholds:
    """The widest whose errors on these rows stay within the risks; approve stays below 0.3, reject above 0.5."""
    return Thresholds(
        approve=_widest(reach(APPROVE, rows.labels, scores), (rows.targets == 1).any(axis=1), RISK_APPROVE, 0.3),
        reject={
            label: -at
            for column, label in enumerate(rows.labels)
            if (
                at := _widest(
                    reach(reject(label), rows.labels, scores), rows.targets[:, column] == 0, RISK_REJECT, -0.5
                )
            )
            is not None
        },
    )


def _widest(keys: Array, wrong: Array, risk: float, limit: float) -> float | None:
    order = np.argsort(keys)
    allowed = np.cumsum(wrong[order]) / np.arange(1, len(keys) + 1) <= risk
    within = keys[order][allowed & (keys[order] <= limit)]
    return float(within[-1]) if len(within) else None


def measure(name: str, encoder: Encoder) -> dict[str, float]:
    """The figures of one set."""
    rows = load(name)
    fitted = rows.part(0, min(FITTED, len(rows.texts) * 2 // 3))
    clean = rows.part(len(fitted.texts), len(fitted.texts) + CLEAN)
    embeddings = encoder.encode(fitted.texts)
    model = fit_head(rows.labels, fitted.targets, embeddings, ngrams(fitted.texts, FeatureSpec()))
    before = Classifier(encoder, model.head, model.calibration, FeatureSpec())
    now = Classifier(encoder, model.head, model.calibration, SPEC, profile_of(fitted.texts, embeddings, encoder))
    thresholds = thresholds_for(clean, before.predict(clean.texts).astype(np.float64))

    def decide(classifier: Classifier, texts: Sequence[str]) -> SideDecisions:
        found = classifier.classify(texts)
        return decisions(rows.labels, found.scores, thresholds, found.scopes)

    plain = {which: decide(each, clean.texts) for which, each in (("before", before), ("now", now))}
    positive = (clean.targets == 1).any(axis=1)
    chosen = np.flatnonzero(positive & plain["before"].rejected.any(axis=1))[:DISGUISED]
    texts = [clean.texts[i] for i in chosen]
    figures = {
        f"{name}_texts": float(len(texts)),
        f"{name}_clean_review_rise": _reviewed(plain["now"]) - _reviewed(plain["before"]),
    }
    for which, classifier in (("_before", before), ("", now)):
        figures |= _shares(f"{name}_untransformed", decide(classifier, texts), which)
        for disguise, apply in DISGUISES.items():
            figures |= _shares(f"{name}_{disguise}", decide(classifier, [apply(text) for text in texts]), which)
    return figures


def _reviewed(decided: SideDecisions) -> float:
    return 1 - float(decided.automatic.mean())


def _shares(name: str, decided: SideDecisions, suffix: str) -> dict[str, float]:
    return {
        f"{name}_approved{suffix}": float(decided.approved.mean()),
        f"{name}_rejected{suffix}": float(decided.rejected.any(axis=1).mean()),
        f"{name}_reviewed{suffix}": _reviewed(decided),
    }


def summary(figures: dict[str, float]) -> dict[str, float]:
    """The worst and the mean over sets and disguises, and the largest rise of reviews of clean text."""
    found: dict[str, float] = {}
    for suffix in ("", "_before"):
        shares = [figures[f"{name}_{disguise}_approved{suffix}"] for name in SETS for disguise in DISGUISES]
        found |= {f"worst_approved_share{suffix}": max(shares), f"mean_approved_share{suffix}": float(np.mean(shares))}
    return found | {"clean_review_rise": max(figures[f"{name}_clean_review_rise"] for name in SETS)}


def main() -> int:
    """Run everything; returns the exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if gone := [name for name, label in SETS.items() if label and not (DATA / f"{name}.jsonl.gz").exists()]:
        console.print(f"{DATA}: this benchmark needs the data sets {', '.join(gone)}, which are not there")
        return 1
    started, figures = time.perf_counter(), dict[str, float]()
    with (
        tempfile.TemporaryDirectory(prefix="second-look-") as folder,
        console.status("exporting the encoder") as status,
    ):
        exported = export_encoder(DEFAULT_ENCODER, Path(folder))
        encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
        for name in SETS:
            status.update(f"disguising {name}")
            figures |= measure(name, encoder)
    figures = {**summary(figures), "seconds": time.perf_counter() - started, **figures}
    report("evasion", figures, TARGETS, {"fitted": FITTED, "clean": CLEAN, "encoder": DEFAULT_ENCODER})
    return 0


if __name__ == "__main__":
    sys.exit(main())
