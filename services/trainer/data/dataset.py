"""From labels to a data set: texts, targets (NaN where unknown), and the part that each row belongs to."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secondlook.common.contract.events import Why, label_id, review_id
from secondlook.common.postgres import Queryable, Row
from secondlook.trainer.data.quality import Rating, majority
from secondlook.trainer.data.splits import (
    CHOSEN,
    ELSEWHERE,
    MEASURING,
    Draw,
    Split,
    canonical,
    group_keys,
    own_draw,
    split_at,
)
from secondlook.trainer.data.standing import Standing, Statements, standing, together
from secondlook.trainer.data.starter import starter_set

MAX_WEIGHT = 20.0  # of a row; without a bound a few rare audits would decide everything
STARTER = "starter"

JUDGED = """
SELECT source, content_id, revision, reviewer, text, labels, split, stratum, inclusion_probability, language, received,
       label_id, adjudicated, coalesce(signals, '{}') AS signals
FROM label WHERE received <= $1
ORDER BY labelled_at, label_id DESC
"""
TAKEN = ("text", "split", "stratum", "inclusion_probability", "source", "language", "received", "signals")


class RevisionKey(NamedTuple):
    """The identity of a revision: what people judge."""

    source: str
    content_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The settled judgement of one item. `received` is the trainer's running number of it.

    `item` is set if one person alone has judged it, in the first review of an item that was not decided automatically;
    it is None after audits and second looks, for imported labels, and in all other cases. `answers` is what each person
    said of the item last, the settled answer among it. `signals`: what other classifiers said of it.
    """

    text: str
    labels: Mapping[str, bool]
    split: Split
    stratum: str
    inclusion_probability: float | None
    source: str
    language: str | None
    received: int = 0
    item: RevisionKey | None = None
    answers: Statements = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def canonical(self) -> str | None:
        """The same for near copies; None of what has no text, of which nobody knows whether it is a copy."""
        return canonical(self.text) if self.text else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of one length n.

    `targets` float64[n, labels]: 1 yes, 0 no, NaN unknown. `splits` str[n]. `weights` float64[n]: how many items of the
    traffic a row stands for, at most `MAX_WEIGHT`. `slices`: named subsets, bool[n]. `people`: rows labelled by people.
    `items`: n times `Judged.item`, of the newest judgement in the row. `standing`: who stands behind each target.
    `signals`: n times what other classifiers said of the item.
    """

    texts: tuple[str, ...]
    targets: NDArray[np.float64]
    splits: NDArray[np.str_]
    strata: NDArray[np.str_]
    weights: NDArray[np.float64]
    received: NDArray[np.int64]
    slices: Mapping[str, NDArray[np.bool_]]
    people: int
    fingerprint: str
    items: tuple[RevisionKey | None, ...]
    standing: Standing
    signals: tuple[Mapping[str, float], ...]

    def part(self, *splits: Split) -> NDArray[np.bool_]:
        """bool[n]: the rows of these parts."""
        return np.isin(self.splits, splits)

    def withholding(self, rows: NDArray[np.bool_]) -> "Dataset":
        """The same, but nothing is fitted to, calibrated or compared on these rows.

        What certifies stays: which items do must not depend on what was said of them (`evidence.certify`).
        """
        held = rows & ~self.part("certify")
        return replace(self, splits=np.where(held, "withheld", self.splits).astype(np.str_))


async def load_judged(connection: Queryable, label_mark: int) -> list[Judged]:
    """The settled judgement of every item among the labels up to `label_mark`, the oldest first.

    Of an item that was settled again the newest judgement counts; one that was taken back is left out. Judgements made
    elsewhere settle nothing between them: of an item that has no others, the majority decides a label, which is unknown
    if they are even. An item that measures keeps its answer when a person reverses the decision or users report it, and
    stays unlearned; one of which there is no other answer is left out.
    """
    judgements = await connection.fetch(JUDGED, label_mark)
    measuring = {(row["source"], row["content_id"], row["revision"]) for row in judgements if row["split"] in MEASURING}
    items: dict[tuple[str, str, int], list[Any]] = {}
    answers: dict[tuple[str, str, int], dict[str, Mapping[str, bool]]] = {}
    for row in judgements:
        item = row["source"], row["content_id"], row["revision"]
        if row["stratum"] in CHOSEN and item in measuring:
            continue
        answers.setdefault(item, {})[row["reviewer"]] = row["labels"]
        if row["adjudicated"]:
            items[item] = [*items.pop(item, ()), row]  # last: an item is as old as its newest settling judgement
    found = []
    for item, rows in items.items():
        if labels := _settled(rows):
            newest, said = {name: rows[-1][name] for name in TAKEN}, answers[item]
            found.append(Judged(**newest, labels=labels, item=_item(rows, len(said)), answers=said))
    return found


def _item(rows: Sequence[Row], people: int) -> RevisionKey | None:
    newest = rows[-1]
    if newest["stratum"] in ELSEWHERE or people > 1:
        return None
    item = RevisionKey(newest["source"], newest["content_id"], newest["revision"])
    return item if newest["label_id"] == label_id(review_id(*item, Why.UNCERTAIN), newest["reviewer"]) else None


def _settled(rows: Sequence[Row]) -> Mapping[str, bool]:
    """The joint answer of the judgements of an item, the newest last."""
    if any(row["stratum"] not in ELSEWHERE for row in rows):
        newest: dict[str, bool] = rows[-1]["labels"]
        return newest
    said = majority([Rating("", row["reviewer"], row["labels"]) for row in rows])
    return {label: value for label, value in said[""].items() if value is not None}


def build(labels: Sequence[str], judged: Sequence[Judged], starter_until: int) -> Dataset:
    """The data set for these labels.

    Fitting gets one row a text with its signals: of copies, the answer of most people to each label counts, the newest
    if they are even, and near copies of items held back to certify or compare are left out. To certify, every item is a
    row: there, copies are traffic too. Of what has neither text nor signals nothing can be learned.
    Starter examples stand in for a label until people have said yes or no to it `starter_until` times.
    """
    wanted = frozenset(labels)
    known = [row for row in judged if not wanted.isdisjoint(row.labels) and (row.text or row.signals)]
    said = {label: sum(label in row.labels for row in known) for label in labels}
    starting = {label for label in labels if said[label] < starter_until}
    held = {row.canonical for row in known if row.split in ("certify", "gold") and row.text}
    fitted = [*_starters(starting), *(row for row in known if row.split in ("train", "calibrate"))]
    gold = [row for row in [*_starters(starting), *known] if row.split == "gold"]
    rows = [
        *_merged(row for row in fitted if row.split != "gold" and row.canonical not in held),
        *_merged(gold),
        *(row for row in known if row.split == "certify"),
    ]
    targets = np.full((len(rows), len(labels)), np.nan)
    for number, row in enumerate(rows):
        for column, label in enumerate(labels):
            if label in row.labels:
                targets[number, column] = row.labels[label]
    weights = np.array([min(1 / (row.inclusion_probability or 1), MAX_WEIGHT) for row in rows])
    return Dataset(
        texts=tuple(row.text for row in rows),
        targets=targets,
        splits=np.array([row.split for row in rows], dtype=np.str_),
        strata=np.array([row.stratum for row in rows], dtype=np.str_),
        weights=weights,
        received=np.array([row.received for row in rows], dtype=np.int64),
        slices=_slices(rows),
        people=sum(row.stratum != STARTER for row in rows),
        fingerprint=_fingerprint(labels, rows),
        items=tuple(row.item for row in rows),
        standing=standing(labels, [row.labels for row in rows], [row.answers for row in rows]),
        signals=tuple(row.signals for row in rows),
    )


def _starters(labels: Collection[str]) -> list[Judged]:
    found = []
    for example in starter_set():
        told = {label: value for label, value in example.labels.items() if label in labels}
        split = split_at(Draw(own_draw(group_keys(example.text)[0])), STARTER)
        if told:
            found.append(Judged(example.text, told, split, STARTER, None, STARTER, example.language))
    return found


def _merged(rows: Iterable[Judged]) -> list[Judged]:
    """One row a text, whatever its case and spacing, and what signals say of it. A person counts once; nobody overrules
    two others."""
    merged: dict[tuple[object, ...], Judged] = {}
    for row in rows:
        same = (" ".join(row.text.lower().split()), *sorted(row.signals.items()))
        before = merged.get(same)
        if before is not None:
            answers = together(before.answers, row.answers)
            row = replace(row, labels=_most({**before.labels, **row.labels}, answers), answers=answers)
        merged[same] = row
    return list(merged.values())


def _most(newest: Mapping[str, bool], answers: Statements) -> dict[str, bool]:
    said = majority([Rating("", person, labels) for person, labels in answers.items()]).get("", {})
    return {label: value if said.get(label) is None else bool(said[label]) for label, value in newest.items()}


def _slices(rows: Sequence[Judged]) -> dict[str, NDArray[np.bool_]]:
    """By source, by language, and short texts."""
    found: dict[str, NDArray[np.bool_]] = {}
    for name, values in (("source", [r.source for r in rows]), ("language", [r.language for r in rows])):
        for value in sorted({value for value in values if value}):
            found[f"{name}={value}"] = np.array([each == value for each in values], dtype=np.bool_)
    found["at most 40 characters"] = np.array([len(row.text) <= 40 for row in rows], dtype=np.bool_)
    return found


def _fingerprint(labels: Sequence[str], rows: Sequence[Judged]) -> str:
    digest = hashlib.sha256("\n".join(labels).encode())
    for row in rows:
        told = [sorted(row.signals.items())] if row.signals else []
        digest.update(json.dumps([row.text, row.split, sorted(row.labels.items()), *told]).encode())
    return digest.hexdigest()
