"""A router whose classifier costs nothing: `python -m bench.constant_router`, with the settings of a real one."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.service.runtime import run_service
from secondlook.router.__main__ import run
from secondlook.router.settings import RouterSettings

LABELS = ("hate", "offensive")
DIM = 384  # of the default encoder's embedding


class ConstantModel:
    """Scores every text the same, far below any threshold."""

    version = "constant"
    labels: Sequence[str] = LABELS
    certified = None

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        n = len(texts)
        scores = np.full((n, len(LABELS)), 0.03, np.float32)
        return Prediction.fitting(scores, np.full((n, DIM), 0.05, np.float32))


def load(uri: str, sha256: str) -> ConstantModel:
    """The same, whatever is published."""
    return ConstantModel()


if __name__ == "__main__":
    sys.exit(run_service("router", RouterSettings, partial(run, load=load)))
