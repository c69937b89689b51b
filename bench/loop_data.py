"""The traffic of `bench.loop`: rows of the public data sets with what their real annotators said of them.

The data is offensive; nothing of it is printed.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from bench.report import DATA
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Risk
from secondlook.trainer.schedule import CERTIFIED_GROWTH

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NEEDED = ("convabuse", "davidson", "edos")
Said = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Row:
    """An item: the majority's labels, and one answer for each person who judged it. `new`: of the new kind of harm."""

    content: ContentSubmitted
    truth: Said
    votes: tuple[Said, ...]
    new: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment promises and spends: sized so that the data set can certify it at all (see `bench.loop`).

    `new_share`: of the traffic, once the new kind of harm has come up and as long as the data has any of it.
    `audit`: of all traffic, at least. `growth`: of the labels so far, that brings a new model; at least as many as the
    trainer's setting says.
    """

    name: str
    labels: tuple[str, ...]
    risk: Risk
    audit: float
    batch: int
    new_share: float
    growth: float = CERTIFIED_GROWTH

    def policy(self) -> Policy:
        """The policy."""
        labels = {label: LabelPolicy(description=f"{label}, as the data set has it") for label in self.labels}
        audit = Audit(certify=self.audit)
        return Policy(name=self.name, labels=labels, risk=self.risk, audit=audit)


def missing() -> list[str]:
    """The data sets that are not there."""
    return [name for name in NEEDED if not (DATA / f"{name}.jsonl.gz").exists()]


def load(name: str) -> tuple[list[Row], list[Row]]:
    """(traffic, a new kind of harm) of a plan, in the order of the files.

    convabuse: what the eight annotators judged as abusive, by majority, an even vote counts as not; the new kind is
    sexual harassment, taken out of the traffic. davidson: three or more votes an item; hate counts as offensive, as in
    its labels. Hate has no label of its own here: a vote agrees with the majority for hate in 73 % of cases, so that
    its rejection stays off at any risk worth stating. The new kind is sexist posts of edos, which come without votes.
    """
    if name == "convabuse":
        pairs = [(_convabuse(row), row["labels"]["sex_harassment"]) for row in _read("convabuse")]
        return [row for row, new in pairs if not new], [_as_new(row) for row, new in pairs if new]
    sexist = [row for row in _read("edos") if row["labels"]["sexist"]]
    return [_davidson(row) for row in _read("davidson")], [_as_new(_edos(row)) for row in sexist]


def familiar() -> list[Row]:
    """Posts of edos that are not sexist: what the new kind of harm of davidson hides among."""
    return [_edos(row) for row in _read("edos") if not row["labels"]["sexist"]]


def shuffled(traffic: Sequence[Row], new: Sequence[Row], share: float, seed: int) -> tuple[list[Row], int]:
    """The rows as they arrive, and after how many of them the new kind of harm joins: half-way.

    From there on it makes up this share, until there is no more of it.
    """
    chance = np.random.default_rng(seed)
    order = [traffic[i] for i in chance.permutation(len(traffic))]
    half = len(order) // 2
    count = min(len(new), round(share / (1 - share) * (len(order) - half)))
    end = half + min(len(order) - half, round((1 - share) / share * count))
    joined = [*order[half:end], *(new[i] for i in chance.permutation(len(new))[:count])]
    return [*order[:half], *(joined[i] for i in chance.permutation(len(joined))), *order[end:]], half


def wrong(outcome: Outcome, labels: Sequence[str], said: Said) -> bool:
    """Whether a decision is wrong: approved with any label there, or rejected for one that is not."""
    return any(said.values()) if outcome == "approve" else not all(said[label] for label in labels)


def _read(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _content(source: str, row: Mapping[str, Any]) -> ContentSubmitted:
    return ContentSubmitted(source=source, content_id=row["id"], revision=1, text=row["text"], created_at=BEGIN)


def _convabuse(row: Mapping[str, Any]) -> Row:
    votes = tuple({"abusive": bool(each["labels"]["abusive"])} for each in row["annotations"])
    return Row(_content("convabuse", row), {"abusive": bool(row["labels"]["abusive"])}, votes)


def _davidson(row: Mapping[str, Any]) -> Row:
    cast = row["meta"]
    yes, no = cast["votes_hate"] + cast["votes_offensive"], cast["votes_neither"]
    votes = (*({"offensive": True} for _ in range(yes)), *({"offensive": False} for _ in range(no)))
    return Row(_content("davidson", row), {"offensive": bool(row["labels"]["offensive"])}, votes)


def _edos(row: Mapping[str, Any]) -> Row:
    said = {"offensive": bool(row["labels"]["sexist"])}
    return Row(_content("edos", row), said, (said,))


def _as_new(row: Row) -> Row:
    return Row(row.content, row.truth, row.votes, new=True)
