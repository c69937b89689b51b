"""What a model is made from."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from secondlook.common.bundle.classifier import Encoder, Floats, Head
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import Readings
from secondlook.common.head.signals import Features, columns, describe_signals
from secondlook.trainer.data.dataset import STARTER, Dataset
from secondlook.trainer.data.splits import IMPORTED
from secondlook.trainer.encoders.encoder import ExportedEncoder

SPEC = FeatureSpec(version=2)
TAUGHT, SHARE = 50, 0.02  # items that must have a signal, and the share of them, before a head weighs it


def signals_of(data: Dataset) -> Features:
    """The signals that the part `train` can teach."""
    chosen = data.part("train")
    traffic = chosen & ~np.isin(data.strata, (STARTER, IMPORTED))
    taught, came = ([data.signals[row] for row in np.flatnonzero(rows)] for rows in (chosen, traffic))
    return describe_signals(taught, TAUGHT, SHARE, came)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The data set, with what the encoder and the hashing make of the readings of its texts.

    `embeddings` float32[m, dim] and `features` CSR [m, width] are those of the readings: the first of each text in the
    order of the data set, then the others. `signals` are those that a head of it weighs.
    """

    labels: tuple[str, ...]
    data: Dataset
    exported: ExportedEncoder
    encoder: Encoder
    readings: Readings
    embeddings: Floats
    features: sp.csr_matrix
    signals: Features = ()

    @property
    def said(self) -> Floats:
        """float32[n, columns]: what signals say of each item."""
        return columns(self.data.signals, self.signals, len(self.data.texts))

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
        said = self.said[self.readings.owners]
        return self.readings.highest(head.logits(self.embeddings, self.features, said).astype(np.float64))
