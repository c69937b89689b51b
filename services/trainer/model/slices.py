"""The slices of texts in which one person's answers are held against everybody else's, and their names for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from secondlook.common.bundle.classifier import Floats
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.splits import canonical

A_TOPIC, TOPICS = 60, 48  # about so many texts a topic, and at most so many topics
SMALLEST = 5  # near copies that make a cluster
WORDS = 4  # of a phrase, at most
NEARLY_ALL = 0.9
LONGEST = 60  # characters of a name


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """`contains` CSR [n, slices], not 0 where the text is in the slice. The first `features` columns are those that the
    head is fitted on: whatever single word or run of letters the model can learn from is a slice.
    """

    contains: sp.csr_matrix
    features: int
    others: tuple[str, ...]
    texts: tuple[str, ...]

    def inside(self, column: int) -> NDArray[np.bool_]:
        """bool[n]: the texts of a slice."""
        return np.asarray(self.contains[:, [column]].toarray()[:, 0] != 0, np.bool_)

    def name(self, column: int, rows: NDArray[np.int64]) -> str:
        """A slice for people, from the rows of it: what nearly all of their texts say, if it is words or letters."""
        if column >= self.features:
            return self.others[column - self.features]
        return common_words([self.texts[row] for row in rows.tolist()])


def slices_of(data: Dataset, embeddings: Floats, features: sp.csr_matrix) -> Slices:
    """Words and letters, near copies, topics (clusters of embeddings), sources, languages, short texts, and all."""
    copies, topics = _near_copies(data.texts), _topics(embeddings)
    named = {f"near copies of {_shortened(text)}": rows for text, rows in copies.items()}
    named |= {f"texts of one topic, as {_shortened(data.texts[rows[0]])}": rows for rows in topics}
    named |= {name: np.flatnonzero(inside) for name, inside in data.slices.items()}
    named["all texts"] = np.arange(len(data.texts))
    columns = np.repeat(np.arange(len(named)), [len(rows) for rows in named.values()])
    rows = np.concatenate(list(named.values()))
    marks = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), (len(data.texts), len(named)))
    whole = sp.csr_matrix(sp.hstack([features, marks], format="csr"))
    return Slices(whole, features.shape[1], tuple(named), data.texts)


def common_words(texts: Sequence[str]) -> str:
    """The longest run of words, up to `WORDS`, that nearly all of the texts have; else what they look like."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = text.casefold().split()
        counts.update({tuple(words[i : i + n]) for n in range(1, WORDS + 1) for i in range(len(words) - n + 1)})
    shared = [(len(words), count, words) for words, count in counts.items() if count >= NEARLY_ALL * len(texts)]
    if shared:
        return f"texts with {_shortened(' '.join(max(shared)[2]))}"
    return f"texts with the letters of one word, as {_shortened(texts[0])}" if texts else "no texts"


def _near_copies(texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    _, cluster, sizes = np.unique([canonical(text) for text in texts], return_inverse=True, return_counts=True)
    found = [np.flatnonzero(cluster == number) for number in np.flatnonzero(sizes >= SMALLEST)]
    return {texts[rows[0]]: rows for rows in found}


def _topics(embeddings: Floats) -> list[NDArray[np.int64]]:
    topics = min(len(embeddings) // A_TOPIC, TOPICS)
    if topics < 2:
        return []
    found = KMeans(topics, n_init=1, max_iter=20, random_state=0).fit_predict(embeddings)
    return [rows for number in range(topics) if len(rows := np.flatnonzero(found == number))]


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line if len(line) <= LONGEST else line[: LONGEST - 1] + chr(0x2026)}"'
