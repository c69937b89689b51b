"""Who stands behind an answer, and how much of the fitting rests on one person. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGULAR = 20  # rows from which on a person counts among those who share the work
NOBODY = -1

Statements = Mapping[str, Mapping[str, bool]]  # person → label → yes or no


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Who stands behind targets[n, labels].

    `reviewers`: everybody who said anything. `answers`: n times what each of them said.
    `sole` int[n, labels]: the number of the one person who gave the answer, as others gave a different one or none;
    NOBODY if several agree, if the target is unknown, and for starter examples.
    `others` float64[n, labels]: the target if that person's answers are left out: the others' newest, NaN without any;
    the target itself where `sole` is NOBODY.
    """

    reviewers: tuple[str, ...]
    answers: tuple[Statements, ...]
    sole: NDArray[np.int64]
    others: NDArray[np.float64]

    @property
    def rests_on(self) -> NDArray[np.int64]:
        """int[n]: the person whose word alone decides a label of the row; NOBODY if there is none."""
        return np.asarray(self.sole.max(axis=1, initial=NOBODY), np.int64)


def standing(labels: Sequence[str], targets: Sequence[Mapping[str, bool]], answers: Sequence[Statements]) -> Standing:
    """Who stands behind the targets of each row; the later of the answers of a row are the newer ones."""
    reviewers = tuple(sorted({person for said in answers for person in said}))
    numbers = {person: number for number, person in enumerate(reviewers)}
    sole = np.full((len(targets), len(labels)), NOBODY, np.int64)
    others = np.full(sole.shape, np.nan)
    for row, (settled, said) in enumerate(zip(targets, answers, strict=True)):
        for column, label in enumerate(labels):
            if label not in settled:
                continue
            others[row, column] = settled[label]
            agree = [person for person, told in said.items() if told.get(label) is settled[label]]
            if len(agree) == 1:
                sole[row, column] = numbers[agree[0]]
                differ = any(told.get(label) is (not settled[label]) for told in said.values())
                others[row, column] = not settled[label] if differ else np.nan
    return Standing(reviewers, tuple(answers), sole, others)


def together(before: Statements, later: Statements) -> dict[str, Mapping[str, bool]]:
    """What each person said of copies of a text; of the same person's answers the later count."""
    kept = {person: told for person, told in before.items() if person not in later}
    return {**kept, **{person: {**before.get(person, {}), **told} for person, told in later.items()}}


def capped(rests_on: NDArray[np.int64], most: float) -> NDArray[np.float64]:
    """How much each row counts in fitting, float64[n] in (0, 1], so that no person has more than a share `most`.

    `rests_on` int[n] says on whose word alone a row rests, NOBODY if on several. Of R people with `REGULAR` rows, each
    may have 2/R of the whole if that is more, so with one or two of them every row counts in full.
    """
    counts = Counter(rests_on[rests_on != NOBODY].tolist())
    regular = sum(count >= REGULAR for count in counts.values())
    most = max(most, 2 / regular) if regular else 1.0
    weights = np.ones(len(rests_on))
    if most < 1:
        ceiling = _ceiling(sorted(counts.values(), reverse=True), int(np.sum(rests_on == NOBODY)), most)
        for person, count in counts.items():
            weights[rests_on == person] = min(1.0, ceiling / count)
    return weights


def _ceiling(counts: Sequence[int], shared: int, most: float) -> float:
    """The weight that nobody exceeds: `most` of the whole, once the largest `counts` are cut down to it."""
    for cut, largest in enumerate(counts):
        ceiling = most * (shared + sum(counts[cut:])) / (1 - cut * most)
        if largest <= ceiling:
            return ceiling
    return float(counts[-1])
