"""A model whose encoder has learned too: fine-tuned, exported to int8, and only then fitted, calibrated, certified.

The head of such a bundle is a mixture. What the encoder says of the rows that it was tuned on is too sure, so the layer
that was tuned with it and a head on n-grams alone are weighed, and calibrated, on the rows of `calibrate`, which
neither has seen. From then on the bundle is like any other.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from secondlook.common.bundle.classifier import Encoder, Floats, Head
from secondlook.trainer.data.dataset import STARTER
from secondlook.trainer.encoders.encoder import export_encoder, resolve_encoder
from secondlook.trainer.model.calibrate import calibrate
from secondlook.trainer.model.fit import Fitted, fit_linear, shortages
from secondlook.trainer.model.material import Material
from secondlook.trainer.model.recipe import Recipe
from secondlook.trainer.model.tuning import load_layer, tune
from secondlook.trainer.run.database import Progress, embedded
from secondlook.trainer.settings import TrainerSettings

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
            return f"fine-tuning needs more of label {label} among what it is to {part} on: {counts}"
    return None


async def fine_tune(
    material: Material, settings: TrainerSettings, progress: Progress
) -> tuple[Material, Fitted, Logits]:
    """The material as the tuned encoder sees it, the head for it, and that head's logits float64[n, labels].

    `too_little` must have been asked before. No row of `train` has an out-of-fold logit: the encoder has seen them all.

    Raises:
        ConfigurationError: torch is not installed.
        TrainingRefused: the loss is no number any more.
    """
    data, cache = material.data, Path(settings.encoder_cache)
    fitting, held = data.part("train"), data.part("calibrate")
    texts = [data.texts[i] for i in np.flatnonzero(fitting)]
    progress(f"fine-tuning on {len(texts)} texts")
    start = fit_linear(sp.csr_matrix(material.embeddings[fitting]), data.targets[fitting])
    recipe = Recipe(method=settings.finetune_method, epochs=settings.finetune_epochs)
    recipe = replace(recipe, max_tokens=min(recipe.max_tokens, material.exported.max_tokens))
    folder = tune(
        resolve_encoder(settings.encoder, cache), Path(settings.encoder).name, texts, data.targets[fitting], start,
        recipe, cache / "tuned", progress, checkpoint_seconds=settings.finetune_checkpoint_seconds,
    )  # fmt: skip
    progress("exporting the tuned encoder")
    exported = replace(export_encoder(str(folder), folder.parent), name=folder.name)
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    embeddings = await embedded(settings, encoder, exported.sha256, data.texts, progress)
    tuned = replace(material, exported=exported, encoder=encoder, embeddings=embeddings)
    head = mixture(
        material.labels, data.targets, tuned.embeddings, tuned.features, load_layer(folder), fitting, held
    )  # fmt: skip
    logits = head.logits(tuned.embeddings, tuned.features).astype(np.float64)
    calibration = {}
    for column, label in enumerate(material.labels):
        known = held & ~np.isnan(data.targets[:, column])
        calibration[label] = calibrate(logits[known, column], data.targets[known, column], data.weights[known])
    return tuned, Fitted(head, calibration, np.full((int(fitting.sum()), len(material.labels)), np.nan)), logits


def mixture(
    labels: tuple[str, ...],
    targets: Logits,
    embeddings: Floats,
    features: sp.csr_matrix,
    layer: tuple[Floats, Floats],
    fitting: NDArray[np.bool_],
    held: NDArray[np.bool_],
) -> Head:
    """One head from a layer that was tuned, and one on n-grams that is fitted to the rows `fitting`.

    A label's two weights are those of a logistic regression on the rows `held`; neither is negative.
    """
    weight, bias = layer
    by_ngrams, their_bias = fit_linear(features[fitting], targets[fitting])
    pairs = np.stack([embeddings @ weight + bias, features @ by_ngrams + their_bias], axis=2)
    shares, base = np.empty((2, len(labels)), np.float32), np.empty(len(labels), np.float32)
    for column in range(len(labels)):
        known = held & ~np.isnan(targets[:, column])
        shares[:, column], base[column] = _weigh(pairs[known, column], targets[known, column])
    return Head(
        labels, weight * shares[0], by_ngrams * shares[1], base + bias * shares[0] + their_bias * shares[1]
    )  # fmt: skip


def _weigh(pairs: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights float[2] ≥ 0 of two logits float[n, 2], and a bias. If both say nothing, the first one is kept."""
    used = [0, 1]
    while used:
        model = LogisticRegression().fit(pairs[:, used], targets)
        if np.all(model.coef_[0] > 0):
            shares = np.zeros(2)
            shares[used] = model.coef_[0]
            return shares, float(model.intercept_[0])
        used = [number for number, weight in zip(used, model.coef_[0], strict=True) if weight > 0]
    return np.array([1.0, 0.0]), 0.0
