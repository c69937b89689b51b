"""Classify content with a model; an item that it fails on does not affect the others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from secondlook.common.bundle.sides import usable
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.text.scope import Scope
from secondlook.router.state import Model

log = structlog.get_logger()


class Classified(NamedTuple):
    """The model's answer for one item; `scores` are None unless each of them is a probability."""

    scores: list[float] | None
    embedding: NDArray[np.float32]
    scope: Scope
    detail: str


def classify(model: Model, contents: Sequence[ContentSubmitted]) -> list[Classified | None]:
    """One row for each item, by its text and signals; None for one that the model fails on, which leaves the others
    unaffected."""
    texts = [content.text for content in contents]
    try:
        prediction = model.classify(texts, [content.signals for content in contents])
        if prediction.scores.shape != (len(texts), len(model.labels)):
            raise ValueError(f"scores of shape {prediction.scores.shape} for {len(texts)} texts")
        acted_on = usable(prediction.scores)
        scores = [row if fits else None for row, fits in zip(prediction.scores.tolist(), acted_on, strict=True)]
        scopes = map(Scope, prediction.scopes.tolist())
        return [Classified(*row) for row in zip(scores, prediction.embeddings, scopes, prediction.details, strict=True)]
    except Exception as error:
        if len(texts) > 1:
            return [row for content in contents for row in classify(model, [content])]
        log.error("text not classified", bundle=model.version, error=type(error).__name__)
        return [None]
