"""How good the default head is after so many labels, and how good it is together with reviewers."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.classifier_data import DataSet
from secondlook.common.bundle.classifier import Classifier, Encoder, Floats
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.trainer.evidence.collaborative import FRACTIONS, Collaboration, collaborate
from secondlook.trainer.model.evaluate import evaluate
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.run.bundle_report import NOISY_REVIEWER

SIZES = (500, 2_000, 14_000)
SAMPLES = 3  # training sets of a size; of the largest, which is nearly the whole pool, one
SPEC = FeatureSpec()


@dataclass(frozen=True, slots=True)
class Point:
    """Quality on the test part after learning from `size` rows, one value a training sample."""

    size: int
    auroc: tuple[float, ...]
    auprc: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """What became of one label. `alone`: the accuracy of the largest head's decisions; `together`: with reviewers."""

    name: str
    points: tuple[Point, ...]
    alone: float
    together: tuple[Collaboration, ...]

    def figures(self) -> Iterator[tuple[str, float]]:
        """By name; the medians over training samples."""
        for point in self.points:
            size = str(point.size) if point.size in SIZES else "full"
            yield f"{self.name}_{size}_auroc", median(point.auroc)
            yield f"{self.name}_{size}_auprc", median(point.auprc)
        yield f"{self.name}_accuracy", self.alone
        for found in self.together:
            strategy = "" if found.strategy == "uncertainty" else f"_{found.strategy}"
            reviewer = "" if found.reviewer_accuracy == 1 else "_noisy"
            yield f"{self.name}_collab_acc_{found.fraction * 100:02.0f}{strategy}{reviewer}", found.accuracy


def sizes(pool: int) -> list[int]:
    """How many rows to learn from: those of `SIZES` that there are, or in place of the largest all."""
    return [size for size in SIZES if size <= pool] + [pool] * (pool < SIZES[-1])


def learn(data: DataSet, encoder: Encoder, embeddings: Floats) -> list[Curve]:
    """A curve a label, from embeddings float32[n, dim]. The test part takes part in neither fit nor calibration."""
    features, targets = ngrams(data.texts, SPEC), data.targets[data.test]
    points: list[list[Point]] = [[] for _ in data.labels]
    for size in sizes(len(data.pool)):
        found = []
        for seed in range(1 if size in (SIZES[-1], len(data.pool)) else SAMPLES):
            rows = np.random.default_rng(seed).permutation(data.pool)[:size]
            scores = _scores(data, rows, encoder, embeddings, features, seed)
            found.append(evaluate(data.labels, scores, targets))
        for column, label in enumerate(data.labels):
            auroc = tuple(metrics[label].auroc or 0.0 for metrics in found)
            points[column].append(Point(size, auroc, tuple(metrics[label].auprc or 0.0 for metrics in found)))
    curves = []
    for column, name in enumerate(data.names):
        pair = scores[:, column], targets[:, column]
        (alone, _) = collaborate(*pair, fractions=(0,))
        together = (*collaborate(*pair, FRACTIONS), *collaborate(*pair, FRACTIONS, NOISY_REVIEWER))
        curves.append(Curve(name, tuple(points[column]), alone.accuracy, together))
    return curves


def _scores(
    data: DataSet, rows: NDArray[np.intp], encoder: Encoder, embeddings: Floats, features: sp.csr_matrix, seed: int
) -> Floats:
    """Calibrated scores float32[test, labels] of a head fitted to these rows, as a router would give them."""
    fitted = fit_head(data.labels, data.targets[rows], embeddings[rows], features[rows], seed=seed)
    classifier = Classifier(encoder, fitted.head, fitted.calibration, SPEC)
    return classifier.score(embeddings[data.test], features[data.test])
