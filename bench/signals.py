"""What another classifier's score is worth as a signal, and that a useless one breaks no promise: `python -m
bench.signals`.

Of each data set some rows are withheld, and a stand-in for a vendor learns from them. A deployment learns from few of
the others, with the texts alone, with the vendor's scores as signals, or with signals that are noise; certifies on what
people say of more of them; and decides the rest, of which the data set knows the truth. As in `bench.certify`, an
adversary looks after every label: a deployment is broken if at any moment any threshold that could be certified then is
wrong more often than the policy allows. The data is offensive; nothing of it is printed.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from bench.certify import ever_certified, is_broken
from bench.certify_worlds import World
from bench.classifier_data import DataSet, load
from bench.report import DATA, console, report
from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.sides import bare
from secondlook.common.contract.policy import Risk
from secondlook.common.head.signals import Said, columns, describe_signals
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.evidence.certify import all_sides, certify, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import plain_sample
from secondlook.trainer.model.fit import fit_head

SETS = ("edos",)
SEED, DEPLOYMENTS, WITHHELD, LEARNED, JUDGED = 1, 25, 6_000, 1_000, 3_000
RISK = Risk(approve=0.1, reject=0.15, confidence=0.95)
ARMS = ("without", "with", "noise")
TARGETS = {"gain": 1.1, "broken_share_with": 0.05, "broken_share_noise": 0.05}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set, its features, and the rows that the vendor did not see with what it says of them."""

    data: DataSet
    embeddings: Floats
    features: sp.csr_matrix
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    vendor: dict[int, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What came of a deployment: the share that it decides in the end, and whether it ever broke its promise."""

    covered: float
    broken: bool


def prepare(name: str, encoder: Encoder) -> Prepared:
    """Embed a data set, and let the vendor learn from what is withheld."""
    data = load(name)
    embeddings, features = encoder.encode(data.texts), ngrams(data.texts, FeatureSpec())
    order = np.random.default_rng(SEED).permutation(data.pool)
    known, rows = order[:WITHHELD], order[WITHHELD:]
    stand_in = fit_head(data.labels, data.targets[known], embeddings[known], features[known])
    logits = stand_in.head.logits(embeddings[rows], features[rows])
    scores = [stand_in.calibration[label].apply(logits[:, i]) for i, label in enumerate(data.labels)]
    vendor = {
        int(row): {f"vendor.{label}": float(scores[i][n]) for i, label in enumerate(data.labels)}
        for n, row in enumerate(rows)
    }
    return Prepared(data, embeddings, features, rows, vendor)


def said(prepared: Prepared, arm: str, rng: np.random.Generator) -> dict[int, dict[str, float]]:
    """The signals of every row."""
    if arm == "with":
        return prepared.vendor
    if arm == "noise":
        return {row: {name: float(rng.random()) for name in told} for row, told in prepared.vendor.items()}
    return {row: {} for row in prepared.vendor}


def deploy(prepared: Prepared, arm: str, number: int) -> Deployed:
    """One deployment; those of one number learn from, and are judged on, the same rows."""
    rng = np.random.default_rng([SEED, number])
    data, order = prepared.data, rng.permutation(prepared.rows)
    learned, others = order[:LEARNED], order[LEARNED:]
    evidence = rng.integers(0, len(others), JUDGED)
    told = said(prepared, arm, rng)

    def of(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Said:
        return [told[int(row)] for row in rows]

    weighed = describe_signals(of(learned), 50, 0.02)
    fitted = fit_head(
        data.labels, data.targets[learned], prepared.embeddings[learned], prepared.features[learned],
        signals=columns(of(learned), weighed, len(learned)),
    )  # fmt: skip
    logits = fitted.head.logits(
        prepared.embeddings[others], prepared.features[others], columns(of(others), weighed, len(others))
    )
    calibrated = [fitted.calibration[label].apply(logits[:, i]) for i, label in enumerate(data.labels)]
    scores = np.stack(calibrated, axis=1).astype(np.float32).astype(np.float64)
    world = World(data.labels, scores, data.targets[others], RISK)
    sample = plain_sample(data.labels, scores[evidence], data.targets[others][evidence])
    grids = {side: grid(side, data.labels, scores[:500]) for side in all_sides(data.labels)}
    broken = is_broken(world, ever_certified(sample, grids, RISK, 1))
    deltas = deltas_of(dict.fromkeys(grids, 1), RISK, len(data.labels))
    return Deployed(world.coverage(bare(certify(sample, grids, RISK, deltas).thresholds)), broken)


def measured(folder: Path, deployments: int) -> Iterator[tuple[str, str, list[Deployed]]]:
    """(data set, arm, its deployments)."""
    exported = export_encoder(DEFAULT_ENCODER, folder)
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    for name in SETS:
        prepared = prepare(name, encoder)
        for arm in ARMS:
            yield name, arm, [deploy(prepared, arm, number) for number in range(deployments)]


def main() -> int:
    """Run; returns the exit status. The first argument is the number of deployments."""
    if absent := [name for name in SETS if not (DATA / f"{name}.jsonl.gz").exists()]:
        console.print(f"{DATA} lacks what this benchmark needs: {', '.join(absent)}")
        return 1
    started, deployments = time.perf_counter(), int(sys.argv[1]) if len(sys.argv) > 1 else DEPLOYMENTS
    figures: dict[str, float] = {}
    found: dict[str, list[Deployed]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory(prefix="second-look-bench-") as folder:
        for name, arm, deployed in measured(Path(folder), deployments):
            figures[f"{name}_coverage_{arm}"] = statistics.mean(each.covered for each in deployed)
            found[arm] += deployed
            console.print(f"{name} {arm}: {figures[f'{name}_coverage_{arm}']:.3f}")
    for arm, deployed in found.items():
        figures[f"coverage_{arm}"] = statistics.mean(each.covered for each in deployed)
        figures[f"broken_share_{arm}"] = statistics.mean(each.broken for each in deployed)
    figures["gain"] = figures["coverage_with"] / max(figures["coverage_without"], 1e-9)
    figures["seconds"] = time.perf_counter() - started
    settings = {
        "deployments": deployments, "withheld": WITHHELD, "learned": LEARNED, "judged": JUDGED, "seed": SEED,
        "risk_approve": RISK.approve, "risk_reject": RISK.reject,
    }  # fmt: skip
    report("signals", figures, TARGETS, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
