"""What encoder and hashing make of every text of a deployment, kept on disk between runs."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Scopes
from secondlook.common.bundle.classifier import Classifier, Encoder, Floats
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.novelty import look
from secondlook.common.bundle.readings import Readings, readings
from secondlook.common.text.scope import Scope
from secondlook.trainer.data.starter import starter_set
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder
from secondlook.trainer.model.fit import Fitted
from secondlook.trainer.model.material import SPEC


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """`rows`: text → row of `embeddings` float32[m, dim] and `features` CSR [m, width], those of the m `readings` of n
    texts, and of `scopes` uint8[n]."""

    exported: ExportedEncoder
    encoder: Encoder
    rows: Mapping[str, int]
    readings: Readings
    embeddings: Floats
    features: sp.csr_matrix
    scopes: Scopes

    def find(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The rows of the texts, in their order."""
        return np.array([self.rows[text] for text in texts], np.int64)

    def logits(self, fitted: Fitted) -> NDArray[np.float64]:
        """float64[n, labels] of every text: the highest of its readings."""
        return self.readings.highest(fitted.head.logits(self.embeddings, self.features).astype(np.float64))

    def scores(self, fitted: Fitted) -> Floats:
        """float32[n, labels], calibrated, of every text, as the router would score it."""
        return Classifier(self.encoder, fitted.head, fitted.calibration, SPEC).calibrated(self.logits(fitted))


def read_corpus(texts: Iterable[str], labels: Collection[str], folder: Path) -> Corpus:
    """The corpus of these texts and what the starter set has for the labels; kept in `folder`."""
    exported = export_encoder(DEFAULT_ENCODER, folder / "encoders")
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    starters = [example.text for example in starter_set() if not example.labels.keys().isdisjoint(labels)]
    distinct = list(dict.fromkeys([*texts, *starters]))
    digest = hashlib.sha256(f"{exported.sha256} {SPEC.model_dump_json()}".encode())
    for text in distinct:
        digest.update(hashlib.sha256(text.encode()).digest())
    found = readings(distinct, SPEC)
    path = folder / f"texts-{digest.hexdigest()[:16]}"
    if not path.exists():
        tokens = encoder.tokenize(found.rows)
        whole = found.whole(tokens.whole)
        scopes = np.array([look(text, None)[0] for text in distinct], np.uint8)
        scopes[(scopes == Scope.FITS) & ~whole] = Scope.LONG
        unfinished = path.with_suffix(".unfinished")
        unfinished.mkdir(exist_ok=True)
        np.save(unfinished / "embeddings.npy", encoder.embed(tokens))
        np.save(unfinished / "scopes.npy", scopes)
        sp.save_npz(unfinished / "ngrams.npz", ngrams(found.rows, SPEC), compressed=False)
        unfinished.replace(path)
    embeddings, scopes = np.load(path / "embeddings.npy"), np.load(path / "scopes.npy")
    features = sp.csr_matrix(sp.load_npz(path / "ngrams.npz"))
    rows = {text: row for row, text in enumerate(distinct)}
    return Corpus(exported, encoder, rows, found, embeddings, features, scopes)
