"""What a model is made from."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from secondlook.common.bundle.classifier import Encoder, Floats, Head
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import Readings
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.encoders.encoder import ExportedEncoder

SPEC = FeatureSpec(version=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The data set, with what the encoder and the hashing make of the readings of its texts.

    `embeddings` float32[m, dim] and `features` CSR [m, width] are those of the readings: the first of each text in the
    order of the data set, then the others.
    """

    labels: tuple[str, ...]
    data: Dataset
    exported: ExportedEncoder
    encoder: Encoder
    readings: Readings
    embeddings: Floats
    features: sp.csr_matrix

    def rows(self, chosen: NDArray[np.bool_]) -> tuple[Floats, sp.csr_matrix]:
        """Embeddings and features of the first readings of the chosen texts, bool[n]."""
        numbers = np.flatnonzero(chosen)
        return self.embeddings[numbers], self.features[numbers]

    @property
    def firsts(self) -> tuple[Floats, sp.csr_matrix]:
        """Embeddings and features of the first readings of all texts."""
        return self.embeddings[: len(self.data.texts)], self.features[: len(self.data.texts)]

    def logits(self, head: Head) -> NDArray[np.float64]:
        """float64[n, labels]: the highest of each text's readings."""
        return self.readings.highest(head.logits(self.embeddings, self.features).astype(np.float64))
