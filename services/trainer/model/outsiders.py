"""What models say of each text that have learned nothing from some of the people."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from secondlook.common.bundle.classifier import Floats
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.standing import NOBODY
from secondlook.trainer.model.calibrate import calibrate
from secondlook.trainer.model.fit import fit_linear, shortages

GROUPS = 5
OTHERS = 0.3  # of what is fitted, at least: a model of less knows too little to be held against who taught the rest


@dataclass(frozen=True, slots=True, eq=False)
class Outsiders:
    """`without` float64[groups, n, labels]: probabilities by a model that learned nothing from a group of people, NaN
    where the others said too little of a label to fit it, or less than `OTHERS` of what was said.
    `group` int[people]: the group of each person.
    """

    without: NDArray[np.float64]
    group: NDArray[np.int64]

    def of(self, person: int, label: int) -> NDArray[np.float64]:
        """float64[n]: what is expected of a label without this person."""
        return self.without[self.group[person], :, label]

    def expected(self, sole: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[n, labels]: what is expected without the person in `sole` int[n, labels]; NaN where it is NOBODY."""
        found = np.full(sole.shape, np.nan)
        for number, each in enumerate(self.without):
            theirs = (sole != NOBODY) & (self.group[sole] == number)
            found[theirs] = each[theirs]
        return found

    def unchecked(self, sole: NDArray[np.int64]) -> list[int]:
        """The people whose word some targets rest on, and without whom nothing is expected of any label."""
        people = np.unique(sole[sole != NOBODY]).tolist()
        return [person for person in people if np.isnan(self.without[self.group[person]]).all()]


def outsiders(labels: tuple[str, ...], data: Dataset, embeddings: Floats, features: sp.csr_matrix) -> Outsiders | None:
    """A model without each group of people; None if all judgements rest on one person.

    People are left out in at most `GROUPS` groups of about equal work, so that this takes about as long as `fit_head`.
    """
    sole, fitting = data.standing.sole, data.part("train")
    work = Counter(sole[sole != NOBODY].tolist())
    if len(work) < 2:
        return None
    group = _groups(work, len(data.standing.reviewers))
    x = sp.csr_matrix(sp.hstack([sp.csr_matrix(embeddings), features], format="csr"))
    logits = np.full((group.max() + 1, *sole.shape), np.nan)
    for number, each in enumerate(logits):
        theirs = (sole != NOBODY) & (group[sole] == number)
        targets = np.where(theirs, data.standing.others, data.targets)[fitting]
        short = shortages(labels, targets)
        told = (~np.isnan(targets)).sum(axis=0) >= OTHERS * (~np.isnan(data.targets[fitting])).sum(axis=0)
        enough = [column for column, label in enumerate(labels) if told[column] and label not in short]
        if enough:
            coefficients, bias = fit_linear(x[fitting], targets[:, enough])
            each[:, enough] = x @ coefficients + bias
    found = Outsiders(logits, group)
    unseen = found.expected(sole)
    for number, each in enumerate(logits):
        others = (sole != NOBODY) & (group[sole] != number)
        # Of people without whom nothing is expected, the rows that this model was not fitted to serve.
        fresh = np.where(np.isnan(unseen) & ~fitting[:, None], each, unseen)
        each[:] = _calibrated(each, np.where(others, fresh, np.nan), data.targets)
    return found


def _groups(work: Counter[int], people: int) -> NDArray[np.int64]:
    """The group of each person, so that all groups have about as many rows."""
    group, loads = np.zeros(people, np.int64), [0] * min(GROUPS, len(work))
    for person in sorted(range(people), key=lambda each: -work[each]):
        group[person] = loads.index(min(loads))
        loads[group[person]] += work[person]
    return group


def _calibrated(
    logits: NDArray[np.float64], unseen: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities float64[n, labels] of a group's logits. The curve of each label is fitted to the rows of other
    people, by logits of models that had not learned from them: who is held against a model does not calibrate it.
    """
    found = np.full(logits.shape, np.nan)
    for column in range(targets.shape[1]):
        known = ~np.isnan(unseen[:, column]) & ~np.isnan(targets[:, column])
        y = targets[known, column]
        if 0 < y.sum() < len(y):
            found[:, column] = calibrate(unseen[known, column], y).apply(logits[:, column])
    return found
