"""A model's answer for a batch of texts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Bools


@dataclass(frozen=True, slots=True)
class Prediction:
    """`scores` float32[n, labels], calibrated probabilities; `embeddings` float32[n, dim], L2 norm 1; `whole` bool[n]:
    the encoder read the text to its end. Of one that it did not, a low score says little.
    """

    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    whole: Bools
