"""The real default encoder, exported once a run, and a small classifier fitted on mild sentences."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.store import write_bundle
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder
from secondlook.trainer.model.fit import Fitted, fit_head

SPEC = FeatureSpec(bits=12)
LABELS = ("advert", "question")


@dataclass(frozen=True)
class Sentences:
    """Mild texts with targets float[n, 2]: is it an advert, is it a question; some targets are unknown."""

    texts: list[str]
    targets: np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@pytest.fixture(scope="session")
def exported(encoder_cache: Path) -> ExportedEncoder:
    return export_encoder(DEFAULT_ENCODER, encoder_cache)


@pytest.fixture(scope="session")
def encoder(exported: ExportedEncoder) -> Encoder:
    return Encoder(exported.onnx, exported.tokenizer)


@pytest.fixture(scope="session")
def sentences() -> Sentences:
    things = ["a lamp", "the blue bicycle", "two tickets", "our garden chairs", "this old piano", "fresh bread"]
    adverts = [f"{start} {thing}" for start in ("Buy now and save on", "Half price today:") for thing in things]
    plain = [f"{start} {thing}." for start in ("Yesterday I carried home", "My neighbour likes") for thing in things]
    asked = [f"{start} {thing}?" for start in ("Did you see", "Where can I find") for thing in things]
    texts = [*adverts, *plain, *asked, *(f"{text} Isn't it?" for text in adverts)]
    n = len(adverts)
    targets = np.array([[1, 0]] * n + [[0, 0]] * n + [[0, 1]] * n + [[1, 1]] * n, float)
    targets[::7, 0] = np.nan
    return Sentences(texts, targets)


@pytest.fixture(scope="session")
def fitted(encoder: Encoder, sentences: Sentences) -> Fitted:
    return fit_head(LABELS, sentences.targets, encoder.encode(sentences.texts), ngrams(sentences.texts, SPEC))


@pytest.fixture(scope="session")
def classifier(encoder: Encoder, fitted: Fitted) -> Classifier:
    return Classifier(encoder, fitted.head, fitted.calibration, SPEC)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, exported: ExportedEncoder, fitted: Fitted) -> Path:
    """A whole bundle on disk; tests that damage it work on a copy."""
    folder = tmp_path_factory.mktemp("bundles") / "1"
    write_bundle(
        folder,
        bundle_version="2025-01-01.1",
        created_at=datetime(2025, 1, 1, tzinfo=UTC),
        encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer,
        encoder_name=exported.name,
        features=SPEC,
        head=fitted.head,
        calibration=fitted.calibration,
        metrics={"advert": LabelMetrics(n=10, positives=0)},
        data_fingerprint="test",
    )
    return folder
