"""What a model was made for, from the texts that it is fitted to."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.bundle.novelty import READ, Novelty, Profile
from secondlook.common.text.folding import fold
from secondlook.common.text.language import language_of
from secondlook.common.text.scripts import scripts
from secondlook.trainer.model.material import Material

CENTRES, EACH = 64, 20  # at most; texts that make one
HELD = 5  # every so many texts measure what is ordinary; the others say what was seen
ORDINARY = 0.998  # of those texts stay below each of the three limits
DISGUISED, UNKNOWN = 0.3, 0.1  # no limit is stricter
FEW = 10  # held texts that say next to nothing of how far the others go
_PIECE = 3  # letters of a script that count, as decoration does not


def describe(material: Material) -> Novelty:
    """The profile of the part `train`, with its arrays."""
    chosen = np.flatnonzero(material.data.part("train"))
    return profile_of([material.data.texts[i] for i in chosen], material.embeddings[chosen], material.encoder)


def profile_of(texts: Sequence[str], embeddings: Floats, encoder: Encoder) -> Novelty:
    """What texts with these embeddings float32[n, dim] show; n ≥ 1. The same arguments give the same profile."""
    held = np.arange(len(texts)) % HELD == HELD - 1
    shown = ~held if len(texts) >= HELD else np.ones(len(texts), np.bool_)
    centres = _centres(embeddings[shown])
    tokens = encoder.tokenize(texts).ids
    seen = np.zeros(encoder.vocabulary, np.uint8)
    for number in np.flatnonzero(shown).tolist():
        seen[list(tokens[number])] = 1
    found = Novelty(_profile(texts, 1.0, 1.0, 2.0), centres, seen)
    measured = held if held.any() else shown
    unknown = [found.unknown(tokens[number]) for number in np.flatnonzero(measured).tolist()]
    disguised = [fold(texts[number][:READ]).share for number in np.flatnonzero(measured).tolist()]
    profile = _profile(
        texts,
        max(_ordinary(disguised), DISGUISED),
        max(_ordinary(unknown), UNKNOWN),
        _ordinary(found.distance(embeddings[measured])),
    )
    return Novelty(profile, centres, seen)


def _profile(texts: Sequence[str], disguised: float, unknown: float, distance: float) -> Profile:
    languages = Counter(language for text in texts if (language := language_of(text)) is not None)
    written = Counter(
        name
        for text in texts
        for name, count in scripts(text[:READ]).items()
        if count >= min(_PIECE, len(text.strip()))
    )
    return Profile(
        texts=len(texts), scripts=dict(sorted(written.items())), languages=dict(sorted(languages.items())),
        disguised=disguised, unknown=unknown, distance=distance, textless=sum(not text for text in texts),
    )  # fmt: skip


def _ordinary(measured: Sequence[float] | NDArray[np.float32]) -> float:
    """The value in [0, 1] that all but very few are at most, with room for what few texts cannot show."""
    values = np.asarray(measured, np.float64)
    spread = (values.max() - np.median(values)) * min(1.0, FEW / len(values))
    return float(min(np.quantile(values, ORDINARY) + spread, 1.0))


def _centres(embeddings: Floats) -> Floats:
    count = int(np.clip(len(embeddings) // EACH, 1, CENTRES))
    clusters = MiniBatchKMeans(count, random_state=0, n_init=1, batch_size=1024).fit(embeddings)
    found = np.asarray(clusters.cluster_centers_, np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), np.float32)
