"""A router whose model is a fake: `python -m tests.faults.router`. Everything else is the router's own."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.service.runtime import run_service
from secondlook.router.__main__ import run
from secondlook.router.settings import RouterSettings
from secondlook.router.state import Model
from tests.integration.router_world import FakeModel

SCHEME = "fake://"


@dataclass
class SlowModel(FakeModel):
    """Takes the same time for every batch, so that a fault often meets a batch in work."""

    seconds: float = 0.0

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        time.sleep(self.seconds)
        return super().classify(texts)


def load(uri: str, sha256: str) -> Model:
    """The model of `fake://SECONDS`."""
    return SlowModel(seconds=float(uri.removeprefix(SCHEME)))


if __name__ == "__main__":
    sys.exit(run_service("router", RouterSettings, partial(run, load=load)))
