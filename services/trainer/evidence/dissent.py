"""Where one person's answers go against what everybody else's teach, found by exact tail bounds. Pure.

A slice is all texts with one feature: a word, a run of letters, a cluster of near copies, a source, a language, or
anything at all. For each label and answer, those rows count that rest on one person and of which a model that has
learned nothing from that person expects the other answer. A slice stands out if the person contradicts the model there
far more often than the model is unsure, than the same person does elsewhere, and than others do in the same slice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import pdtrc

from secondlook.common.bundle.arrays import Array, Bools

CHANCE = 0.01  # that any honest person's slice stands out in a run, were the model's probabilities right
LEAST = 5  # contradictions
EXCESS = 0.3  # of the sure rows: what a model mistakes by this much less is nobody's doing
UNSURE = 0.02  # no model is surer than this
STRENGTH = 20.0  # imagined rows at the rate of all, for rates of few rows
MOST = 8  # slices of a person, label and answer


@dataclass(frozen=True, slots=True, eq=False)
class Dissent:
    """The rows of one slice that rest on `person`, who says `given` of `label` in `count` of `sure` rows against the
    model. `rows`: all that rest on the person there. `against`: those that go against the model. `feature`: the column.
    """

    person: int
    label: int
    given: bool
    feature: int
    rows: NDArray[np.int64]
    against: NDArray[np.int64]
    sure: int

    @property
    def count(self) -> int:
        return len(self.against)


def find_dissents(
    targets: Array, sole: NDArray[np.int64], expected: Array, contains: sp.csr_matrix
) -> tuple[Dissent, ...]:
    """The slices that stand out, the most telling first for each person, label and answer.

    Args:
        targets: [n, labels]: 1, 0, NaN unknown.
        sole: int[n, labels]: the person on whose word alone a target rests, negative for nobody's.
        expected: [n, labels]: probabilities by a model that learned nothing from that person; NaN where there is none.
        contains: CSR [n, features], not 0 where the text is in the slice.

    Raises:
        ValueError: shapes that do not fit.
    """
    if not targets.shape == sole.shape == expected.shape or contains.shape[0] != len(targets):
        raise ValueError(f"targets {targets.shape}, sole {sole.shape}, expected {expected.shape}, {contains.shape}")
    inside = sp.csr_matrix((np.ones(contains.nnz), contains.indices, contains.indptr), contains.shape)
    features = np.flatnonzero(inside.getnnz(axis=0) >= LEAST)
    inside = sp.csr_matrix(inside[:, features])
    people = np.unique(sole[sole >= 0])
    level = CHANCE / max(2 * targets.shape[1] * len(people), 1)
    found: list[Dissent] = []
    for label in range(targets.shape[1]):
        p, said, whose = expected[:, label], targets[:, label], sole[:, label]
        for given in (False, True):
            sure = (whose >= 0) & ~np.isnan(said) & ((p < 0.5) if given else (p >= 0.5))
            chance = np.maximum(p if given else 1 - p, UNSURE)
            world = _World(label, given, inside, features, whose, sure, sure & (said == given), chance)
            for person in people.tolist():
                found += world.dissents(int(person), level)
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _World:
    """One label and answer. Of the rows `sure`, those that go `against` the model, each with the `chance` of it."""

    label: int
    given: bool
    inside: sp.csr_matrix
    features: NDArray[np.int64]
    whose: NDArray[np.int64]
    sure: Bools
    against: Bools
    chance: Array

    def dissents(self, person: int, level: float) -> Iterator[Dissent]:
        """The slices of a person, each without the rows of those before it."""
        mine = self.whose == person
        others = self.sure & ~mine
        if (mine & self.against).sum() < LEAST:
            return
        usual = (self.against[others].sum() + 1) / (others.sum() + 2)
        of_others = _rate(self._count(others & self.against), self._count(others), usual)
        left = mine.copy()
        for _ in range(MOST):
            rows = np.flatnonzero(left & self.sure)
            best = self._best(rows, usual, of_others, level)
            if best is None:
                return
            held = np.flatnonzero(left & (self.inside[:, [best]].toarray()[:, 0] > 0))
            sure = held[self.sure[held]]
            yield Dissent(
                person, self.label, self.given, int(self.features[best]), held, sure[self.against[sure]], len(sure)
            )
            left[held] = False

    def _best(self, rows: NDArray[np.int64], usual: float, of_others: Array, level: float) -> int | None:
        """The column where these rows of one person stand out most, if any does."""
        against = self.against[rows].astype(float)
        inside = self.inside[rows].T.tocsr()
        n, k, chance = (np.asarray(inside @ each) for each in (np.ones(len(rows)), against, self.chance[rows]))
        elsewhere = _rate(against.sum() - k, len(rows) - n, usual)
        likely = np.maximum(chance, n * np.maximum(elsewhere, of_others))
        tried = k >= LEAST
        if not tried.any():
            return None
        stands_out = tried & (k - likely >= EXCESS * n)
        # The Poisson tail of the same mean bounds that of unequal chances from above (Hoeffding 1956).
        stands_out[stands_out] = pdtrc(k[stands_out] - 1, likely[stands_out]) * tried.sum() <= level
        if not stands_out.any():
            return None
        narrow = stands_out & (n <= len(rows) / 2)  # more telling than that the person is at odds with all others
        if narrow.any():
            stands_out = narrow
        telling = np.where(stands_out, k * np.log(np.maximum(k, 1) / np.maximum(likely, 1e-9)) - (k - likely), -np.inf)
        return int(np.argmax(telling))

    def _count(self, rows: Bools) -> Array:
        return np.asarray(self.inside.T @ rows.astype(float))


def _rate(k: Array, n: Array, usual: float) -> Array:
    return np.asarray((k + STRENGTH * usual) / (n + STRENGTH))


def confirmed(answers: Sequence[tuple[bool, bool]]) -> bool:
    """Whether others confirm a slice. `answers`: of its rows that others judged too, (the person's, the others')."""
    agreed = sum(one == other for one, other in answers)
    return agreed >= LEAST and agreed >= 0.7 * len(answers)
