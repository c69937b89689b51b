"""A model's answer for a batch of texts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Scopes
from secondlook.common.text.scope import Scope


@dataclass(frozen=True, slots=True)
class Prediction:
    """`scores` float32[n, labels], calibrated probabilities; `embeddings` float32[n, dim], L2 norm 1.

    `scopes` uint8[n] are `Scope`s: whether the model was made for the text. Of one that it was not made for, scores say
    little. `details`: n times what belongs to the scope, such as the code of a language, or nothing.
    """

    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    scopes: Scopes
    details: tuple[str, ...]

    @classmethod
    def fitting(cls, scores: NDArray[Any], embeddings: NDArray[Any]) -> "Prediction":
        """For texts that the model was made for."""
        scopes = np.full(len(scores), Scope.FITS, np.uint8)
        return cls(np.asarray(scores, np.float32), np.asarray(embeddings, np.float32), scopes, ("",) * len(scores))
