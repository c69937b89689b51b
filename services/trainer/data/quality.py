"""Several reviewers an item: the answer of the majority, how good each reviewer is, how likely each answer is. Pure.

Quality is the model of Dawid and Skene (1979) with two classes, one label at a time. A weak Beta prior on every
reviewer's sensitivity and specificity keeps "yes" and "no" from changing places and estimates off 0 and 1, so that one
reviewer alone, or reviewers who never say no, get answers and not errors.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import beta

from secondlook.common.bundle.arrays import Array

PRIOR = (4.0, 1.0)  # imagined judgements that were right and wrong: a new reviewer is right four times in five
CONFIDENCE = 0.95
_ROUNDS, _CLOSE = 1_000, 1e-8

Answers = dict[tuple[str, str], bool]  # (item, reviewer) → yes or no, of one label


@dataclass(frozen=True, slots=True)
class Rating:
    """A reviewer's answers about an item. A label that is not named was not judged."""

    item: str
    reviewer: str
    labels: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class EstimatedShare:
    """A share with its 95 % interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """Of `n` answers on items that others judged too: yes where yes is right, and no where no is right.

    The intervals take the probabilities of the items as given, so with few reviewers they are somewhat narrow.
    """

    n: int
    sensitivity: EstimatedShare
    specificity: EstimatedShare


@dataclass(frozen=True, slots=True)
class ReviewerQuality:
    """`n` items judged. `agreement` is the share of answers equal to the majority of the others; None without any."""

    reviewer: str
    n: int
    agreement: float | None
    labels: Mapping[str, LabelQuality]


@dataclass(frozen=True, slots=True)
class RaterModel:
    """`posterior[item][label]` is the probability of yes, for the labels that were judged. Reviewers by name."""

    posterior: Mapping[str, Mapping[str, float]]
    reviewers: tuple[ReviewerQuality, ...]


def majority(ratings: Sequence[Rating]) -> dict[str, dict[str, bool | None]]:
    """The answer of most reviewers for every item and judged label; None where they are even.

    Of several judgements of an item by the same reviewer, the last counts.
    """
    found: dict[str, dict[str, bool | None]] = {rating.item: {} for rating in ratings}
    for label, answers in _by_label(ratings).items():
        for item, balance in _balances(answers).items():
            found[item][label] = _side(balance)
    return found


def reviewer_quality(ratings: Sequence[Rating]) -> RaterModel:
    """Reviewers and items by Dawid and Skene's model; of repeated judgements the last counts.

    Reviewers and how common yes is are learnt from items that several judged: one that nobody else judged says nothing
    about its reviewer, and its answer is weighed by the answers of the others.
    """
    posterior: dict[str, dict[str, float]] = {rating.item: {} for rating in ratings}
    items: dict[str, set[str]] = defaultdict(set)
    for rating in ratings:
        items[rating.reviewer].add(rating.item)
    qualities: dict[str, dict[str, LabelQuality]] = {reviewer: {} for reviewer in items}
    agreed: dict[str, list[bool]] = {reviewer: [] for reviewer in items}
    for label, answers in _by_label(ratings).items():
        yes, of_reviewer = _dawid_skene(answers)
        for item, probability in yes.items():
            posterior[item][label] = probability
        for reviewer, quality in of_reviewer.items():
            qualities[reviewer][label] = quality
        balances = _balances(answers)
        for (item, reviewer), answer in answers.items():
            others = _side(balances[item] - (1 if answer else -1))
            if others is not None:
                agreed[reviewer].append(answer == others)
    return RaterModel(
        posterior,
        tuple(
            ReviewerQuality(
                reviewer,
                len(items[reviewer]),
                sum(agreed[reviewer]) / len(agreed[reviewer]) if agreed[reviewer] else None,
                qualities[reviewer],
            )
            for reviewer in sorted(items)
        ),
    )


def _by_label(ratings: Sequence[Rating]) -> dict[str, Answers]:
    last = {(rating.item, rating.reviewer): rating.labels for rating in ratings}
    answers: dict[str, Answers] = defaultdict(dict)
    for who, labels in last.items():
        for label, answer in labels.items():
            answers[label][who] = answer
    return answers


def _balances(answers: Answers) -> dict[str, int]:
    """Yes less no of every item."""
    balances: dict[str, int] = defaultdict(int)
    for (item, _), answer in answers.items():
        balances[item] += 1 if answer else -1
    return balances


def _side(balance: int) -> bool | None:
    return None if balance == 0 else balance > 0


def _dawid_skene(answers: Answers) -> tuple[dict[str, float], dict[str, LabelQuality]]:
    items = {name: i for i, name in enumerate(dict.fromkeys(item for item, _ in answers))}
    reviewers = {name: i for i, name in enumerate(dict.fromkeys(reviewer for _, reviewer in answers))}
    item = np.array([items[name] for name, _ in answers])
    reviewer = np.array([reviewers[name] for _, name in answers])
    said = np.array(list(answers.values()), np.float64)
    several = np.bincount(item) > 1
    shared = several[item]

    def counts(weights: Array) -> Array:
        return np.asarray(np.bincount(reviewer[shared], weights[shared], minlength=len(reviewers)), np.float64)

    right, wrong = PRIOR
    yes = np.bincount(item, said) / np.bincount(item)
    for _ in range(_ROUNDS):
        p = yes[item]
        true_yes, false_no = counts(p * said) + right, counts(p * (1 - said)) + wrong
        true_no, false_yes = counts((1 - p) * (1 - said)) + right, counts((1 - p) * said) + wrong
        sensitivity, specificity = true_yes / (true_yes + false_no), true_no / (true_no + false_yes)
        prevalence = (yes[several].sum() + 1) / (several.sum() + 2)
        for_yes, for_no = np.log(sensitivity / (1 - specificity)), np.log((1 - sensitivity) / specificity)
        evidence = np.bincount(item, np.where(said == 1, for_yes[reviewer], for_no[reviewer]))
        before, yes = yes, np.asarray(expit(np.log(prevalence / (1 - prevalence)) + evidence), np.float64)
        if np.abs(yes - before).max() < _CLOSE:
            break
    judged = counts(np.ones(len(said)))
    quality = {
        name: LabelQuality(int(judged[i]), _share(true_yes[i], false_no[i]), _share(true_no[i], false_yes[i]))
        for name, i in reviewers.items()
    }
    return {name: float(yes[i]) for name, i in items.items()}, quality


def _share(right: float, wrong: float) -> EstimatedShare:
    lower, upper = beta.interval(CONFIDENCE, right, wrong)
    return EstimatedShare(float(right / (right + wrong)), float(lower), float(upper))
