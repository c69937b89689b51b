"""A bundle as the router's model."""

from collections.abc import Sequence
from pathlib import Path

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.locations import refuse_outside
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bundle.store import Bundle, open_bundle
from secondlook.common.head.signals import Said
from secondlook.router.state import LoadModel


class BundleModel:
    """Implements `secondlook.router.state.Model`."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest, self._classifier = bundle.manifest, bundle.classifier

    @property
    def version(self) -> str:
        return self._manifest.bundle_version

    @property
    def labels(self) -> Sequence[str]:
        return self._manifest.labels

    @property
    def certified(self) -> CertifiedThresholds | None:
        return self._manifest.thresholds

    def classify(self, texts: Sequence[str], signals: Said = ()) -> Prediction:
        return self._classifier.classify(texts, signals)


def loader(cache: Path, roots: Sequence[str] | None = None) -> LoadModel:
    """Opens bundles by URI and sha256, with a cache for remote ones; only below `roots`, anywhere if there are none.

    What it returns raises BundleRejected.
    """

    def load(uri: str, sha256: str) -> BundleModel:
        if roots:
            refuse_outside(uri, roots)
        return BundleModel(open_bundle(uri, sha256, cache))

    return load
