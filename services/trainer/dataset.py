"""From labels to a training set: texts, targets with what is unknown left open, and a hold-out that is never fitted."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.trainer.labels import normalised, split_of
from services.trainer.starter import starter_set

JUDGED = """
SELECT text, labels FROM (
    SELECT DISTINCT ON (source, content_id, revision) text, labels, labelled_at, label_id
    FROM label WHERE adjudicated AND received <= $1
    ORDER BY source, content_id, revision, labelled_at DESC, label_id) AS settled
ORDER BY labelled_at, label_id
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
    """The settled judgement of every item among the labels up to `label_mark`, the oldest first."""
    return [(row["text"], json.loads(row["labels"])) for row in await connection.fetch(JUDGED, label_mark)]


def build(labels: Sequence[str], judged: Sequence[tuple[str, Mapping[str, bool]]], starter_until: int) -> Dataset:
    """The training set for these labels, one row a text: of copies, the newest judgement of each label counts.

    Starter examples stand in for a label until people have said yes or no to it `starter_until` times.
    """
    wanted = frozenset(labels)
    said = {label: sum(label in known for _, known in judged) for label in labels}
    starting = {label for label in labels if said[label] < starter_until}
    rows: dict[str, tuple[str, dict[str, bool]]] = {}

    def add(text: str, known: Mapping[str, bool], among: Collection[str]) -> None:
        told = {label: value for label, value in known.items() if label in among}
        if told:
            same = normalised(text)
            rows[same] = (text, {**rows.get(same, ("", {}))[1], **told})

    for example in starter_set():
        add(example.text, example.labels, starting)
    for text, known in judged:
        add(text, known, wanted)
    by_people = {normalised(text) for text, known in judged if not wanted.isdisjoint(known)}
    ordered = list(rows.values())
    targets = np.full((len(ordered), len(labels)), np.nan)
    for number, (_, known) in enumerate(ordered):
        for column, label in enumerate(labels):
            if label in known:
                targets[number, column] = known[label]
    texts = tuple(text for text, _ in ordered)
    holdout = np.array([split_of(text) == "holdout" for text in texts], dtype=bool)
    return Dataset(texts, targets, holdout, len(by_people), _fingerprint(labels, ordered))


def _fingerprint(labels: Sequence[str], rows: Sequence[tuple[str, Mapping[str, bool]]]) -> str:
    digest = hashlib.sha256("\n".join(labels).encode())
    for text, known in rows:
        digest.update(json.dumps([text, sorted(known.items())]).encode())
    return digest.hexdigest()
