"""What an item is about, by its embedding: the nearest of a few centres, which are found in the first items. Pure."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.cluster import KMeans

from secondlook.common.bundle.classifier import Floats

TOPICS, FIRST = 4, 300


@dataclass(slots=True)
class Topics:
    """The centres float32[TOPICS at most, dim], L2 norm 1; None until FIRST items have come."""

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
    """The centres of float32[n, dim] by k-means of their directions. The same embeddings have the
    same centres."""
    rows = _unit(embeddings)
    count = min(TOPICS, len(np.unique(rows, axis=0)))
    found = KMeans(count, n_init=1, max_iter=20, random_state=0).fit(rows).cluster_centers_
    return _unit(np.asarray(found, np.float32))


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
