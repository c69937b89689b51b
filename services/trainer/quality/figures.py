"""From judgements to figures with intervals: errors of automatic decisions, prevalence, agreement, suspects. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secondlook.trainer.data.quality import Rating
from secondlook.trainer.data.suspects import Suspect, find_suspects
from secondlook.trainer.evidence.estimates import (
    AuditErrors,
    Estimate,
    agreement,
    assisted_mean,
    audit_errors,
    overturn_rate,
    proportion,
)

# Of a label that no two reviewers judged.
NO_AGREEMENT = agreement(np.empty((0, 0)))


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """An item as people settled it, with the scores of the bundle that routed it, which had not learned from it.

    `second_look`: whether somebody was asked to look again: `no`, `asked`, or `answered`.
    """

    item: str
    labels: Mapping[str, bool]
    scores: Mapping[str, float]
    second_look: str


@dataclass(frozen=True, slots=True)
class SecondLookCounts:
    """Items that went back to the review queue: how many, how many were answered, how many of those otherwise."""

    asked: int
    answered: int
    changed: int


@dataclass(frozen=True, slots=True)
class AuditedDecision:
    """An automatic decision, and the labels that people then gave its item. `uniform`: the blind coin chose it."""

    outcome: str
    labels: Sequence[str]
    judged: Mapping[str, bool]
    uniform: bool


@dataclass(frozen=True, slots=True)
class RoutedItem:
    """A revision that the router scored: where it went, and the judgement that settled it, if there is one."""

    route: str
    scores: Mapping[str, float]
    judged: Mapping[str, bool] | None
    inclusion_probability: float | None


def audited_errors(decisions: Sequence[AuditedDecision], labels: Sequence[str]) -> AuditErrors:
    """The share of each side's decisions that was wrong, from those in the uniform sample."""
    outcome = np.array([one.outcome for one in decisions], np.str_)
    rejected = np.array([[label in one.labels for label in labels] for one in decisions], np.bool_)
    rejected = rejected.reshape(len(decisions), len(labels)) & (outcome == "reject")[:, None]
    targets = _table(labels, [one.judged for one in decisions])
    uniform = np.array([one.uniform for one in decisions], np.bool_)
    return audit_errors(labels, outcome == "approve", rejected, targets, uniform)


def overturned(decisions: Sequence[AuditedDecision]) -> Estimate:
    """The share of audited decisions, however chosen, that people changed from approve to reject or back."""
    first = np.array([one.outcome == "reject" for one in decisions], np.bool_)
    return overturn_rate(first, np.array([any(one.judged.values()) for one in decisions], np.bool_))


def assisted_prevalence(items: Sequence[RoutedItem]) -> dict[str, Estimate]:
    """The share of the traffic that has each label, with the help of the scores.

    Args:
        items: all that were routed, except those that people have yet to judge, about which nothing is known.
    """
    labels = sorted({label for item in items for label in item.scores})
    scores, targets = _table(labels, [item.scores for item in items]), _table(labels, [i.judged or {} for i in items])
    # What went to review was chosen for sure; of what was decided automatically, the coin chose.
    chance = np.array([1.0 if item.route == "review" else item.inclusion_probability or 1.0 for item in items])
    found = {}
    for column, label in enumerate(labels):
        known = ~np.isnan(scores[:, column])
        found[label] = assisted_mean(scores[known, column], targets[known, column], chance[known])
    return found


def agreements(ratings: Sequence[Rating]) -> dict[str, Estimate]:
    """How far reviewers agree on every label that they judged, by label. The intervals depend on the order of items."""
    items = {item: number for number, item in enumerate(dict.fromkeys(rating.item for rating in ratings))}
    reviewers = {name: number for number, name in enumerate(sorted({rating.reviewer for rating in ratings}))}
    found = {}
    for label in sorted({label for rating in ratings for label in rating.labels}):
        table = np.full((len(items), len(reviewers)), np.nan)
        for rating in ratings:
            if label in rating.labels:
                table[items[rating.item], reviewers[rating.reviewer]] = rating.labels[label]
        found[label] = agreement(table)
    return found


def shares(judged: Sequence[Mapping[str, bool]], labels: Sequence[str]) -> dict[str, Estimate]:
    """The share of these items that have each label, of those where it was judged."""
    answers = {label: [row[label] for row in judged if label in row] for label in labels}
    return {label: proportion(sum(given), len(given)) for label, given in answers.items()}


def suspects(answers: Sequence[ScoredAnswer], limit: int | None = None) -> list[tuple[ScoredAnswer, Suspect]]:
    """The answers that look wrong to the model, each item once with its least likely one, the least likely first."""
    if not answers:
        return []
    names = sorted({name for answer in answers for name in answer.scores})
    targets, probabilities = (
        _table(names, [answer.labels for answer in answers]), _table(names, [answer.scores for answer in answers])
    )  # fmt: skip
    found = {one.row: one for one in reversed(find_suspects(names, probabilities, targets))}  # the least likely a row
    worst = sorted(found.values(), key=lambda one: one.score)[:limit]
    return [(answers[one.row], one) for one in worst]


def _table(labels: Sequence[str], rows: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    values = [[float(row.get(label, np.nan)) for label in labels] for row in rows]
    return np.array(values, np.float64).reshape(len(rows), len(labels))
