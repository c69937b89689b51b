"""Classify texts with a model; one that it fails on does not affect the others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from secondlook.common.bundle.sides import usable
from secondlook.common.text.scope import Scope
from secondlook.router.state import Model

log = structlog.get_logger()


class Classified(NamedTuple):
    """The model's answer for one text; `scores` are None unless each of them is a probability."""

    scores: list[float] | None
    embedding: NDArray[np.float32]
    scope: Scope
    detail: str


def classify(model: Model, texts: Sequence[str]) -> list[Classified | None]:
    """One row for each text; None for a text that the model fails on, which leaves the other texts unaffected."""
    try:
        prediction = model.classify(texts)
        if prediction.scores.shape != (len(texts), len(model.labels)):
            raise ValueError(f"scores of shape {prediction.scores.shape} for {len(texts)} texts")
        acted_on = usable(prediction.scores)
        scores = [row if fits else None for row, fits in zip(prediction.scores.tolist(), acted_on, strict=True)]
        scopes = map(Scope, prediction.scopes.tolist())
        return [Classified(*row) for row in zip(scores, prediction.embeddings, scopes, prediction.details, strict=True)]
    except Exception as error:
        if len(texts) > 1:
            return [row for text in texts for row in classify(model, [text])]
        log.error("text not classified", bundle=model.version, error=type(error).__name__)
        return [None]
