"""What encoder and hashing make of every text of a deployment, kept on disk between runs."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from secondlook.common.bundle.classifier import Classifier, Encoder, Floats
from secondlook.common.bundle.features import ngrams
from secondlook.trainer.data.starter import starter_set
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder
from secondlook.trainer.model.fit import Fitted
from secondlook.trainer.model.material import SPEC


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """`rows`: text → row of `embeddings` float32[n, dim], `features` CSR [n, width] and `whole` bool[n]."""

    exported: ExportedEncoder
    encoder: Encoder
    rows: Mapping[str, int]
    embeddings: Floats
    features: sp.csr_matrix
    whole: NDArray[np.bool_]

    def find(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The rows of the texts, in their order."""
        return np.array([self.rows[text] for text in texts], np.int64)

    def scores(self, fitted: Fitted) -> Floats:
        """float32[n, labels], calibrated, of every text, as the router would score it."""
        classifier = Classifier(self.encoder, fitted.head, fitted.calibration, SPEC)
        return classifier.score(self.embeddings, self.features)


def read_corpus(texts: Iterable[str], labels: Collection[str], folder: Path) -> Corpus:
    """The corpus of these texts and what the starter set has for the labels; kept in `folder`."""
    exported = export_encoder(DEFAULT_ENCODER, folder / "encoders")
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    starters = [example.text for example in starter_set() if not example.labels.keys().isdisjoint(labels)]
    distinct = list(dict.fromkeys([*texts, *starters]))
    digest = hashlib.sha256(f"{exported.sha256} {SPEC.model_dump_json()}".encode())
    for text in distinct:
        digest.update(hashlib.sha256(text.encode()).digest())
    path = folder / f"texts-{digest.hexdigest()[:16]}"
    if not path.exists():
        embeddings, whole = encoder.read(distinct)
        unfinished = path.with_suffix(".unfinished")
        unfinished.mkdir(exist_ok=True)
        np.save(unfinished / "embeddings.npy", embeddings)
        np.save(unfinished / "whole.npy", whole)
        sp.save_npz(unfinished / "ngrams.npz", ngrams(distinct, SPEC), compressed=False)
        unfinished.replace(path)
    embeddings, whole = np.load(path / "embeddings.npy"), np.load(path / "whole.npy")
    features = sp.csr_matrix(sp.load_npz(path / "ngrams.npz"))
    return Corpus(exported, encoder, {text: row for row, text in enumerate(distinct)}, embeddings, features, whole)
