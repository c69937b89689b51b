"""The weights of a logistic head."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """A logistic head: embedding float32[dim, labels], ngrams float32[width, labels], bias float32[labels], and signals
    float32[columns, labels], which are none where there are no signals.

    Raises:
        ValueError: shapes that do not fit, or weights that are not finite.
    """

    labels: tuple[str, ...]
    embedding: Floats
    ngrams: Floats
    bias: Floats
    signals: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        if not self.signals.size:
            object.__setattr__(self, "signals", np.zeros((0, len(self.labels)), np.float32))
        for name, array, rank in (
            ("embedding", self.embedding, 2),
            ("ngrams", self.ngrams, 2),
            ("bias", self.bias, 1),
            ("signals", self.signals, 2),
        ):
            if array.dtype != np.float32 or array.ndim != rank or array.shape[-1] != len(self.labels):
                raise ValueError(f"head: {name} is {array.dtype}{list(array.shape)} for {len(self.labels)} labels")
            if not np.isfinite(array).all():
                raise ValueError(f"head: {name} holds numbers that are not finite")

    def logits(self, embeddings: Floats, features: sp.csr_matrix, signals: Floats | None = None) -> Floats:
        """Uncalibrated logits float32[n, labels] of embeddings float32[n, dim], n-grams CSR [n, width] and signals
        float32[n, columns], which a head that weighs none does without."""
        found = embeddings @ self.embedding + features @ self.ngrams + self.bias
        if len(self.signals):
            if signals is None:
                raise ValueError("head: made for signals, and none are given")
            found = found + signals @ self.signals
        return np.asarray(found, np.float32)
