"""A bundle of the default encoder, fitted to a data set, without a trainer around it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from secondlook.common.bundle.classifier import Encoder
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.store import write_bundle
from secondlook.common.clock import SystemClock
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.material import SPEC
from secondlook.trainer.model.profile import profile_of

LABELS = ("hate", "offensive")
EXAMPLES = 2_000


def fit_bundle(rows: Sequence[Mapping[str, Any]], folder: Path) -> tuple[str, str]:
    """Fit to the first EXAMPLES rows (`text` and `labels`); returns URI and sha256. Works in `folder`."""
    rows = rows[:EXAMPLES]
    exported = export_encoder(DEFAULT_ENCODER, folder / "encoders")
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    texts = [row["text"] for row in rows]
    targets = np.array([[row["labels"][label] for label in LABELS] for row in rows], np.float64)
    embeddings = encoder.encode(texts)
    fitted = fit_head(LABELS, targets, embeddings, ngrams(texts, SPEC))
    bundle = folder / "bundles" / "bench"
    write_bundle(
        bundle, bundle_version="bench", created_at=SystemClock().now(), encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer, encoder_name=exported.name, max_tokens=exported.max_tokens, features=SPEC,
        head=fitted.head, calibration=fitted.calibration, metrics={}, data_fingerprint="bench",
        novelty=profile_of(texts, embeddings, encoder),
    )  # fmt: skip
    return bundle.as_uri(), manifest_sha256(bundle)
