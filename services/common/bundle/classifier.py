"""The classifier: a frozen encoder, a logistic head on its embedding and hashed n-grams, calibration a label.

Router and trainer share it, so a text gets the same features in both. All of it is safe to call from several threads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import scipy.sparse as sp
from numpy.typing import NDArray
from tokenizers import Tokenizer

from secondlook.common.bundle.arrays import Bools, Scopes
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.novelty import Novelty, look
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bundle.readings import Readings, readings
from secondlook.common.head.calibration import Calibration as Calibration
from secondlook.common.head.calibration import Isotonic as Isotonic
from secondlook.common.head.calibration import Platt as Platt
from secondlook.common.head.logistic import Floats as Floats
from secondlook.common.head.logistic import Head as Head
from secondlook.common.head.signals import COLUMNS, Features, Said, columns, unfamiliar
from secondlook.common.text.cleaning import clean
from secondlook.common.text.scope import Scope

_BATCH_TEXTS, _BATCH_TOKENS, _CHUNK, _ROWS = 32, 1024, 1024, 4096


@dataclass(frozen=True, slots=True)
class Tokenized:
    """`ids` of n texts, with the frame that the tokenizer puts around them; `whole` bool[n]: nothing was cut off."""

    ids: Sequence[Sequence[int]]
    whole: Bools


class Encoder:
    """A transformers encoder on ONNX Runtime. An embedding is mean pooled and has L2 norm 1.

    A text is read up to `max_tokens` tokens, the rest is seen by the n-grams only. With the encoders that the trainer
    exports, an embedding does not depend on the other texts of the call.

    Both files are given by their paths, or as what was read from them.

    Raises:
        ValueError: a file is no ONNX encoder or no tokenizer; names the file.
    """

    def __init__(
        self, onnx_file: Path | bytes, tokenizer_file: Path | bytes, *, threads: int = 0, max_tokens: int = 256
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Memory is bounded by the small batches (390 MB at 4,096 tokens, 260 at 1,024); without arena and patterns it
        # is also given back.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        # Spinning threads would take the cores from the event loop.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            model = onnx_file if isinstance(onnx_file, bytes) else str(onnx_file)
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self.dim = int(self._session.get_outputs()[0].shape[-1])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ValueError(f"{_name(onnx_file, 'encoder.onnx')} is no ONNX encoder: {error}") from error
        try:
            self._tokenizer = (
                Tokenizer.from_buffer(tokenizer_file)
                if isinstance(tokenizer_file, bytes)
                else Tokenizer.from_file(str(tokenizer_file))
            )
            self._tokenizer.enable_truncation(max_tokens)
            self._tokenizer.no_padding()
            self.vocabulary = self._tokenizer.get_vocab_size()
        except Exception as error:  # tokenizers raises bare Exception
            raise ValueError(f"{_name(tokenizer_file, 'tokenizer.json')} is no tokenizer: {error}") from error
        self.max_tokens = max_tokens

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Floats:
        """Embeddings float32[len(texts), dim] in the order of `texts`; `progress` hears how many are done so far."""
        embeddings, done = np.empty((len(texts), self.dim), np.float32), 0
        for start in range(0, len(texts), _CHUNK):
            chunk = self.tokenize(texts[start : start + _CHUNK]).ids
            for batch in _batches([len(ids) for ids in chunk]):
                embeddings[[start + i for i in batch]] = self._run([chunk[i] for i in batch])
                done += len(batch)
                if progress is not None:
                    progress(done)
        return embeddings

    def tokenize(self, texts: Sequence[str]) -> Tokenized:
        """The tokens that the encoder reads of each text."""
        encodings = self._tokenizer.encode_batch([clean(text) for text in texts])
        whole = np.array([not encoding.overflowing for encoding in encodings], np.bool_)
        return Tokenized([encoding.ids for encoding in encodings], whole)

    def embed(self, tokens: Tokenized) -> Floats:
        """Embeddings float32[n, dim] of texts that are tokenized already."""
        embeddings = np.empty((len(tokens.ids), self.dim), np.float32)
        for batch in _batches([len(ids) for ids in tokens.ids]):
            embeddings[batch] = self._run([tokens.ids[i] for i in batch])
        return embeddings

    def _run(self, tokens: Sequence[Sequence[int]]) -> Any:
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        return self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def _name(file: Path | bytes, otherwise: str) -> str:
    return file.name if isinstance(file, Path) else otherwise


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices sorted by length, in batches of few padded tokens: that is what bounds memory."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == _BATCH_TEXTS or (len(batch) + 1) * lengths[index] > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class Classifier:
    """Texts to calibrated probabilities. Every str works: empty, emoji, right to left, 200,000 characters.

    Raises:
        ValueError: head, calibration, encoder, feature spec and novelty do not fit each other.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        calibration: Mapping[str, Platt | Isotonic],
        spec: FeatureSpec,
        novelty: Novelty | None = None,
        signals: Features = (),
    ) -> None:
        if head.embedding.shape[0] != encoder.dim:
            raise ValueError(f"head: made for embeddings of {head.embedding.shape[0]}, the encoder gives {encoder.dim}")
        if head.ngrams.shape[0] != spec.width:
            raise ValueError(f"head: made for {head.ngrams.shape[0]} n-grams, the spec gives {spec.width}")
        if len(head.signals) != COLUMNS * len(signals):
            raise ValueError(f"head: made for {len(head.signals)} columns of signals, the stage names {len(signals)}")
        if set(calibration) != set(head.labels):
            raise ValueError(f"calibration of {sorted(calibration)}, labels are {sorted(head.labels)}")
        if novelty is not None and novelty.centres.shape[1] != encoder.dim:
            raise ValueError(f"novelty: made for embeddings of {novelty.centres.shape[1]}, not of {encoder.dim}")
        self.encoder, self.head, self.calibration, self.spec = encoder, head, dict(calibration), spec
        self.novelty, self.signals = novelty, signals

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of every score array."""
        return self.head.labels

    def classify(self, texts: Sequence[str], said: Said = ()) -> Prediction:
        """Scores, embeddings and scopes of the texts, in their order; `said`: the signals of each, if there are any."""
        found = self.readings(texts)
        tokens = self.encoder.tokenize(found.rows)
        return self.judge(texts, found, self.encoder.embed(tokens), tokens, said)

    def predict(self, texts: Sequence[str], said: Said = ()) -> Floats:
        """Calibrated probabilities float32[len(texts), labels]."""
        return self.classify(texts, said).scores

    def readings(self, texts: Sequence[str]) -> Readings:
        """What `judge` needs an embedding of."""
        return readings(texts, self.spec)

    def judge(
        self,
        texts: Sequence[str],
        found: Readings,
        embeddings: Floats,
        tokens: Tokenized | None = None,
        said: Said = (),
    ) -> Prediction:
        """The prediction for n texts, from embeddings float32[m, dim] of their m readings."""
        signals = columns(said, self.signals, len(texts))[found.owners]
        spans = [slice(start, start + _ROWS) for start in range(0, max(len(found.rows), 1), _ROWS)]
        parts = [
            self.head.logits(embeddings[span], ngrams(found.rows[span], self.spec), signals[span]) for span in spans
        ]
        scores = self.calibrated(found.highest(np.concatenate(parts)))
        first = embeddings[: len(texts)]
        scopes, details = self._scopes(texts, found, first, tokens or self.encoder.tokenize(found.rows), said)
        return Prediction(scores, first, scopes, details)

    def scopes(self, texts: Sequence[str], embeddings: Floats | None = None, said: Said = ()) -> Scopes:
        """Whether the model was made for each of n texts, as `classify` says; embeddings float32[n, dim] of the texts
        themselves spare it to compute them.
        """
        found = self.readings(texts)
        tokens = self.encoder.tokenize(found.rows)
        if embeddings is None:
            first = Tokenized(tokens.ids[: len(texts)], tokens.whole[: len(texts)])
            embeddings = self.encoder.embed(first) if self.novelty is not None else np.empty((0, 0), np.float32)
        return self._scopes(texts, found, embeddings, tokens, said)[0]

    def score(self, embeddings: Floats, features: sp.csr_matrix, signals: Floats | None = None) -> Floats:
        """Calibrated probabilities float32[n, labels] of n readings, from features computed before."""
        return self.calibrated(self.head.logits(embeddings, features, signals))

    def calibrated(self, logits: NDArray[Any]) -> Floats:
        """Calibrated probabilities float32[n, labels] of logits[n, labels]."""
        columns = [self.calibration[label].apply(logits[:, i]) for i, label in enumerate(self.labels)]
        return np.stack(columns, axis=1).astype(np.float32)

    def _scopes(
        self, texts: Sequence[str], found: Readings, embeddings: Floats, tokens: Tokenized, said: Said
    ) -> tuple[Scopes, tuple[str, ...]]:
        whole = found.whole(tokens.whole)
        textless = self._textless(texts, said)
        looks = [
            (Scope.FITS, "") if known else look(text, self.novelty) for text, known in zip(texts, textless, strict=True)
        ]
        if self.novelty is not None:
            looks = self.novelty.look_closer(looks, found, embeddings, tokens.ids)
        scopes, details = np.array([scope for scope, _ in looks], np.uint8), [detail for _, detail in looks]
        for number in np.flatnonzero(scopes == Scope.FITS).tolist() if self.signals else ():
            if (name := unfamiliar(said[number] if said else {}, self.signals)) is not None:
                scopes[number], details[number] = Scope.SIGNALS, name
        scopes[(scopes == Scope.FITS) & ~whole] = Scope.LONG
        return scopes, tuple(details)

    def _textless(self, texts: Sequence[str], said: Said) -> list[bool]:
        """Which items the model was made for though they have no text: it has learned from such ones, and from a signal
        that speaks here."""
        if not said or self.novelty is None or not self.novelty.profile.knows_textless:
            return [False] * len(texts)
        names = {feature.name for feature in self.signals}
        return [not text and not names.isdisjoint(told) for text, told in zip(texts, said, strict=True)]
