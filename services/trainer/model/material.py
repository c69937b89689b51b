"""What a model is made from."""

from dataclasses import dataclass

import scipy.sparse as sp

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.bundle.features import FeatureSpec
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.encoders.encoder import ExportedEncoder

SPEC = FeatureSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The data set, with what the encoder and the hashing make of its texts."""

    labels: tuple[str, ...]
    data: Dataset
    exported: ExportedEncoder
    encoder: Encoder
    embeddings: Floats
    features: sp.csr_matrix
