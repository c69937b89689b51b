"""The classifier: a frozen encoder, a logistic head on its embedding and hashed n-grams, calibration a label.

Router and trainer share it, so a text gets the same features in both. All of it is safe to call from several threads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import onnxruntime
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from scipy.special import expit
from tokenizers import Tokenizer

from secondlook.common.bundle.arrays import Bools, Scopes
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.novelty import Novelty, look
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bundle.readings import Readings, readings
from secondlook.common.text.cleaning import clean
from secondlook.common.text.scope import Scope

Floats = NDArray[np.float32]
_BATCH_TEXTS, _BATCH_TOKENS, _CHUNK, _ROWS = 32, 1024, 1024, 4096
_Probability = Annotated[float, Field(ge=0, le=1)]


class Platt(BaseModel):
    """probability = sigmoid(slope · logit + intercept); the slope is positive, so ranks stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["platt"] = "platt"
    slope: Annotated[FiniteFloat, Field(gt=0)]
    intercept: FiniteFloat

    def apply(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the logits, same shape."""
        return np.asarray(expit(self.slope * logits + self.intercept))


class Isotonic(BaseModel):
    """Linear interpolation between knots, flat outside: logits strictly rising, probabilities never falling."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["isotonic"] = "isotonic"
    logits: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    probabilities: tuple[_Probability, ...]

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.logits) != len(self.probabilities):
            raise ValueError("as many probabilities as logits are needed")
        if np.any(np.diff(self.logits) <= 0) or np.any(np.diff(self.probabilities) < 0):
            raise ValueError("knots must rise")
        return self

    def apply(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the logits, same shape."""
        return np.asarray(np.interp(logits, self.logits, self.probabilities))


Calibration = Annotated[Platt | Isotonic, Field(discriminator="kind")]


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


@dataclass(frozen=True, slots=True)
class Head:
    """A logistic head: embedding float32[dim, labels], ngrams float32[width, labels], bias float32[labels].

    Raises:
        ValueError: shapes that do not fit, or weights that are not finite.
    """

    labels: tuple[str, ...]
    embedding: Floats
    ngrams: Floats
    bias: Floats

    def __post_init__(self) -> None:
        for name, array, rank in (
            ("embedding", self.embedding, 2),
            ("ngrams", self.ngrams, 2),
            ("bias", self.bias, 1),
        ):
            if array.dtype != np.float32 or array.ndim != rank or array.shape[-1] != len(self.labels):
                raise ValueError(f"head: {name} is {array.dtype}{list(array.shape)} for {len(self.labels)} labels")
            if not np.isfinite(array).all():
                raise ValueError(f"head: {name} holds numbers that are not finite")

    def logits(self, embeddings: Floats, features: sp.csr_matrix) -> Floats:
        """Uncalibrated logits float32[n, labels] of embeddings float32[n, dim] and n-grams CSR [n, width]."""
        return np.asarray(embeddings @ self.embedding + features @ self.ngrams + self.bias, np.float32)


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
    ) -> None:
        if head.embedding.shape[0] != encoder.dim:
            raise ValueError(f"head: made for embeddings of {head.embedding.shape[0]}, the encoder gives {encoder.dim}")
        if head.ngrams.shape[0] != spec.width:
            raise ValueError(f"head: made for {head.ngrams.shape[0]} n-grams, the spec gives {spec.width}")
        if set(calibration) != set(head.labels):
            raise ValueError(f"calibration of {sorted(calibration)}, labels are {sorted(head.labels)}")
        if novelty is not None and novelty.centres.shape[1] != encoder.dim:
            raise ValueError(f"novelty: made for embeddings of {novelty.centres.shape[1]}, not of {encoder.dim}")
        self.encoder, self.head, self.calibration, self.spec = encoder, head, dict(calibration), spec
        self.novelty = novelty

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of every score array."""
        return self.head.labels

    def classify(self, texts: Sequence[str]) -> Prediction:
        """Scores, embeddings and scopes of the texts, in their order."""
        found = self.readings(texts)
        tokens = self.encoder.tokenize(found.rows)
        return self.judge(texts, found, self.encoder.embed(tokens), tokens)

    def predict(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities float32[len(texts), labels]."""
        return self.classify(texts).scores

    def readings(self, texts: Sequence[str]) -> Readings:
        """What `judge` needs an embedding of."""
        return readings(texts, self.spec)

    def judge(
        self, texts: Sequence[str], found: Readings, embeddings: Floats, tokens: Tokenized | None = None
    ) -> Prediction:
        """The prediction for n texts, from embeddings float32[m, dim] of their m readings."""
        parts = [
            self.head.logits(embeddings[start : start + _ROWS], ngrams(found.rows[start : start + _ROWS], self.spec))
            for start in range(0, max(len(found.rows), 1), _ROWS)
        ]
        scores = self.calibrated(found.highest(np.concatenate(parts)))
        first = embeddings[: len(texts)]
        scopes, details = self._scopes(texts, found, first, tokens or self.encoder.tokenize(found.rows))
        return Prediction(scores, first, scopes, details)

    def scopes(self, texts: Sequence[str], embeddings: Floats | None = None) -> Scopes:
        """Whether the model was made for each of n texts, as `classify` says; embeddings float32[n, dim] of the texts
        themselves spare it to compute them.
        """
        found = self.readings(texts)
        tokens = self.encoder.tokenize(found.rows)
        if embeddings is None:
            first = Tokenized(tokens.ids[: len(texts)], tokens.whole[: len(texts)])
            embeddings = self.encoder.embed(first) if self.novelty is not None else np.empty((0, 0), np.float32)
        return self._scopes(texts, found, embeddings, tokens)[0]

    def score(self, embeddings: Floats, features: sp.csr_matrix) -> Floats:
        """Calibrated probabilities float32[n, labels] of n readings, from features computed before."""
        return self.calibrated(self.head.logits(embeddings, features))

    def calibrated(self, logits: NDArray[Any]) -> Floats:
        """Calibrated probabilities float32[n, labels] of logits[n, labels]."""
        columns = [self.calibration[label].apply(logits[:, i]) for i, label in enumerate(self.labels)]
        return np.stack(columns, axis=1).astype(np.float32)

    def _scopes(
        self, texts: Sequence[str], found: Readings, embeddings: Floats, tokens: Tokenized
    ) -> tuple[Scopes, tuple[str, ...]]:
        whole = found.whole(tokens.whole)
        looks = [look(text, self.novelty) for text in texts]
        if self.novelty is not None:
            looks = self.novelty.look_closer(looks, found, embeddings, tokens.ids)
        scopes = np.array([scope for scope, _ in looks], np.uint8)
        scopes[(scopes == Scope.FITS) & ~whole] = Scope.LONG
        return scopes, tuple(detail for _, detail in looks)
