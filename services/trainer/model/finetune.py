"""A model whose encoder has learned too: fine-tuned, exported to int8, and only then fitted, calibrated, certified.

The head of such a bundle is a mixture. The encoder is too sure about the rows that it was tuned on, so the layer that
was tuned with it and a head on n-grams alone are weighed, and calibrated, on the rows of `calibrate`, which neither has
seen. From then on the bundle is like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from secondlook.common.bundle.classifier import Floats, Head
from secondlook.trainer.data.dataset import STARTER
from secondlook.trainer.encoders.encoder import ExportedEncoder, export_encoder, resolve_encoder
from secondlook.trainer.model.calibrate import calibrate
from secondlook.trainer.model.fit import Fitted, fit_linear, shortages
from secondlook.trainer.model.material import Material
from secondlook.trainer.model.recipe import Recipe
from secondlook.trainer.model.tuning import load_layer, tune

MIN_TEXTS = 2_000  # labelled by people, to tune on; about 2,700 labelled texts that were not audits
Logits = NDArray[np.float64]


def too_little(material: Material) -> str | None:
    """Why this data set does not allow fine-tuning, in words; None if it does."""
    data = material.data
    texts = int(np.sum(data.part("train") & (data.strata != STARTER)))
    if texts < MIN_TEXTS:
        return f"fine-tuning starts at {MIN_TEXTS:,} texts labelled by people to fit on, there are {texts:,}"
    for part in ("train", "calibrate"):
        for label, counts in shortages(material.labels, data.targets[data.part(part)]).items():
            return f"fine-tuning needs more of label {label} among the items to {part} on: {counts}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPlan:
    """How to fine-tune: the encoder as settings name it, and the folder that keeps exports and checkpoints."""

    encoder: str
    cache: Path
    recipe: Recipe
    checkpoint_seconds: float


def tune_encoder(
    material: Material, plan: TuningPlan, progress: Callable[[str], None]
) -> tuple[ExportedEncoder, tuple[Floats, Floats]]:
    """The tuned encoder, and the layer float32[dim, labels], float32[labels] that was tuned with it. Takes minutes.

    Ask `too_little` before.

    Raises:
        ConfigurationError: torch is not installed.
        TrainingRefused: the loss is no number any more.
    """
    data = material.data
    fitting = data.part("train")
    texts = [data.texts[i] for i in np.flatnonzero(fitting)]
    progress(f"fine-tuning on {len(texts)} texts")
    start = fit_linear(sp.csr_matrix(material.rows(fitting)[0]), data.targets[fitting])
    recipe = replace(plan.recipe, max_tokens=min(plan.recipe.max_tokens, material.exported.max_tokens))
    folder = tune(
        resolve_encoder(plan.encoder, plan.cache), Path(plan.encoder).name, texts, data.targets[fitting], start,
        recipe, plan.cache / "tuned", progress, checkpoint_seconds=plan.checkpoint_seconds,
    )  # fmt: skip
    progress("exporting the tuned encoder")
    return replace(export_encoder(str(folder), folder.parent), name=folder.name), load_layer(folder)


def fit_tuned(material: Material, layer: tuple[Floats, Floats]) -> tuple[Fitted, Logits]:
    """The calibrated head on a tuned encoder, whose embeddings `material` holds, and its logits float64[n, labels].

    No row of `train` has an out-of-fold logit: the encoder has seen them all.
    """
    data = material.data
    fitting, held = data.part("train"), data.part("calibrate")
    embeddings, features = material.firsts
    head = mixture(material.labels, data.targets, embeddings, features, layer, fitting, held, material.said)
    logits = material.logits(head)
    calibration = {}
    for column, label in enumerate(material.labels):
        known = held & ~np.isnan(data.targets[:, column])
        calibration[label] = calibrate(logits[known, column], data.targets[known, column], data.weights[known])
    return Fitted(head, calibration, np.full((int(fitting.sum()), len(material.labels)), np.nan)), logits


def mixture(
    labels: tuple[str, ...],
    targets: Logits,
    embeddings: Floats,
    features: sp.csr_matrix,
    layer: tuple[Floats, Floats],
    fitting: NDArray[np.bool_],
    held: NDArray[np.bool_],
    said: Floats | None = None,
) -> Head:
    """One head from a layer that was tuned, and one on n-grams, and signals float32[n, columns], that is fitted to the
    rows `fitting`.

    A label's two weights are those of a logistic regression on the rows `held`; neither is negative.
    """
    weight, bias = layer
    told = np.zeros((len(embeddings), 0), np.float32) if said is None else said
    x = sp.csr_matrix(sp.hstack([features, sp.csr_matrix(told)], format="csr"))
    others, their_bias = fit_linear(x[fitting], targets[fitting])
    by_ngrams, by_signals = np.split(others, [features.shape[1]])
    pairs = np.stack([embeddings @ weight + bias, x @ others + their_bias], axis=2)
    shares, base = np.empty((2, len(labels)), np.float32), np.empty(len(labels), np.float32)
    for column in range(len(labels)):
        known = held & ~np.isnan(targets[:, column])
        shares[:, column], base[column] = _weigh(pairs[known, column], targets[known, column])
    return Head(
        labels, weight * shares[0], by_ngrams * shares[1], base + bias * shares[0] + their_bias * shares[1],
        by_signals * shares[1],
    )  # fmt: skip


def _weigh(pairs: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights float[2] ≥ 0 of two logits float[n, 2], and a bias. If both carry nothing, the first one is kept."""
    used = [0, 1]
    while used:
        model = LogisticRegression().fit(pairs[:, used], targets)
        if np.all(model.coef_[0] > 0):
            shares = np.zeros(2)
            shares[used] = model.coef_[0]
            return shares, float(model.intercept_[0])
        used = [number for number, weight in zip(used, model.coef_[0], strict=True) if weight > 0]
    return np.array([1.0, 0.0]), 0.0
