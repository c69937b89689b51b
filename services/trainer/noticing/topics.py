"""What an item is about, by its embedding: the nearest of a few centres, which are found in the first items. Pure."""

from dataclasses import dataclass, field

import numpy as np

from secondlook.common.bundle.classifier import Floats

TOPICS, FIRST, ROUNDS, SEED = 4, 300, 10, 1


@dataclass(slots=True)
class Topics:
    """The centres float32[TOPICS, dim], L2 norm 1; None until FIRST items have come."""

    centres: Floats | None = None
    first: list[Floats] = field(default_factory=list)

    def of(self, embedding: Floats) -> int | None:
        """The topic of float32[dim]; None if that is not known yet, or the embedding is another encoder's."""
        if self.centres is None:
            if not self.first or len(embedding) == len(self.first[0]):
                self.first.append(embedding)
            if len(self.first) >= FIRST:
                self.centres, self.first = centres(np.stack(self.first)), []
            return None
        return int((self.centres @ embedding).argmax()) if len(embedding) == self.centres.shape[1] else None


def centres(embeddings: Floats) -> Floats:
    """Spherical k-means of float32[n, dim], n at least TOPICS. The same embeddings have the same centres."""
    rows = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    chance = np.random.default_rng(SEED)
    found = rows[chance.integers(len(rows))][None]
    while len(found) < TOPICS:  # k-means++ (Arthur and Vassilvitskii 2007)
        far = np.maximum(1 - (rows @ found.T).max(axis=1), 1e-9)
        found = np.vstack([found, rows[chance.choice(len(rows), p=far / far.sum())]])
    for _ in range(ROUNDS):
        nearest = (rows @ found.T).argmax(axis=1)
        sums = np.stack([rows[nearest == topic].sum(axis=0) for topic in range(TOPICS)])
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        found = np.where(norms > 0, sums / np.maximum(norms, 1e-9), found)
    return np.asarray(found, np.float32)
