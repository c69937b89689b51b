"""From labels to a training set: texts, targets with what is unknown left open, and a hold-out that is never fitted."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.trainer.labels import split_of
from services.trainer.starter import starter_set

JUDGED = """
SELECT DISTINCT ON (source, content_id, revision) text, labels
FROM label WHERE adjudicated AND received <= $1
ORDER BY source, content_id, revision, labelled_at DESC, label_id
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """`targets` float64[n, labels]: 1 yes, 0 no, NaN unknown. `holdout` bool[n]. `people`: rows labelled by people."""

    texts: tuple[str, ...]
    targets: NDArray[np.float64]
    holdout: NDArray[np.bool_]
    people: int
    fingerprint: str


async def load_judged(connection: Any, label_mark: int) -> list[tuple[str, Mapping[str, bool]]]:
    """The settled judgement of every item among the labels up to `label_mark`, in a fixed order."""
    return [(row["text"], json.loads(row["labels"])) for row in await connection.fetch(JUDGED, label_mark)]


def build(labels: Sequence[str], judged: Sequence[tuple[str, Mapping[str, bool]]], starter_until: int) -> Dataset:
    """The training set for these labels.

    Starter examples stand in for a label until people have said yes or no to it `starter_until` times.
    """
    said = {label: sum(label in known for _, known in judged) for label in labels}
    starting = {label for label in labels if said[label] < starter_until}
    rows = [(text, known) for text, known in judged if not known.keys().isdisjoint(labels)]
    people = len(rows)
    for example in starter_set():
        told = {label: value for label, value in example.labels.items() if label in starting}
        if told:
            rows.append((example.text, told))
    targets = np.full((len(rows), len(labels)), np.nan)
    for number, (_, known) in enumerate(rows):
        for column, label in enumerate(labels):
            if label in known:
                targets[number, column] = known[label]
    texts = tuple(text for text, _ in rows)
    holdout = np.array([split_of(text) == "holdout" for text in texts], dtype=bool)
    return Dataset(texts, targets, holdout, people, _fingerprint(labels, rows))


def _fingerprint(labels: Sequence[str], rows: Sequence[tuple[str, Mapping[str, bool]]]) -> str:
    digest = hashlib.sha256("\n".join(labels).encode())
    for text, known in rows:
        digest.update(json.dumps([text, sorted(known.items())]).encode())
    return digest.hexdigest()
