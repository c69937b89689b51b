"""A router whose classifier costs nothing: `python -m bench.constant_router`, with the settings of a real one."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from secondlook.common.contract.policy import Thresholds
from secondlook.common.service.runtime import run_service
from secondlook.router.__main__ import run
from secondlook.router.settings import RouterSettings

LABELS = ("hate", "offensive")
DIM = 384  # of the default encoder's embedding


@dataclass(frozen=True, slots=True)
class Constant:
    """What it says of every text."""

    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    whole: NDArray[np.bool_]


class ConstantModel:
    """Scores every text the same, far below any threshold."""

    version = "constant"
    labels: Sequence[str] = LABELS
    thresholds = Thresholds()

    def classify(self, texts: Sequence[str]) -> Constant:
        n = len(texts)
        scores = np.full((n, len(LABELS)), 0.03, np.float32)
        return Constant(scores, np.full((n, DIM), 0.05, np.float32), np.ones(n, np.bool_))


def load(uri: str, sha256: str) -> ConstantModel:
    """The same, whatever is published."""
    return ConstantModel()


if __name__ == "__main__":
    sys.exit(run_service("router", RouterSettings, partial(run, load=load)))
