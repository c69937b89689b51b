"""From judgements to figures with intervals: errors of automatic decisions, prevalence, agreement, suspects. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secondlook.trainer.data.quality import Rating
from secondlook.trainer.data.suspects import Suspect, find_suspects
from secondlook.trainer.evidence.estimates import (
    Estimate,
    agreement,
    audit_errors,
    overturn_rate,
    prevalence,
    proportion,
)

# Of a label that no two reviewers judged.
NO_AGREEMENT = agreement(np.empty((0, 0)))
Figure = tuple[str, str, Estimate]  # what was estimated, of which side or label, the estimate


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
class RoutedItem:
    """A revision that the router scored: where it went, and the judgement that settled it, if there is one.

    `decided` holds the labels of the automatic decision. An item that nobody was asked about has no stratum.
    """

    route: str
    scores: Mapping[str, float]
    decided: Sequence[str] | None
    judged: Mapping[str, bool] | None
    stratum: str | None
    inclusion_probability: float | None


def audit_figures(items: Sequence[RoutedItem]) -> list[Figure]:
    """Errors of automatic decisions, how many of them audits overturned, and the prevalence of every label.

    Args:
        items: all that were routed, except those that people have yet to judge, about which nothing is known.
    """
    if not items:
        return []
    judged = [item.judged or {} for item in items]
    labels = sorted({label for item in items for label in item.scores})
    route = np.array([item.route for item in items])
    targets, known = _table(labels, judged), _table(labels, [item.scores for item in items])
    rejected = np.array([[label in (item.decided or ()) for label in labels] for item in items])
    rejected &= (route == "reject")[:, None]
    uniform = np.array([item.stratum == "uniform" for item in items])
    audited = (route != "review") & np.array([bool(item.judged) for item in items])
    errors = audit_errors(labels, route == "approve", rejected, targets, uniform)
    found: list[Figure] = [("wrong of automatic", "approve", errors.approve)]
    found += [("wrong of automatic", f"reject {label}", estimate) for label, estimate in errors.reject.items()]
    outcomes = np.array([any(row.values()) for row in judged])
    found.append(("overturned by audits", "all", overturn_rate((route == "reject")[audited], outcomes[audited])))
    # What went to review was chosen for sure; of what was decided automatically, the coin chose.
    chance = np.array([1.0 if item.route == "review" else item.inclusion_probability or 1.0 for item in items])
    for column, label in enumerate(labels):
        scored, one = ~np.isnan(known[:, column]), [column]
        both = prevalence([label], known[scored][:, one], targets[scored][:, one], chance[scored], uniform[scored])
        found += [("prevalence", label, both[label].sampled), ("prevalence", label, both[label].assisted)]
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
    return np.array([[float(row.get(label, np.nan)) for label in labels] for row in rows]).reshape(
        len(rows), len(labels)
    )
