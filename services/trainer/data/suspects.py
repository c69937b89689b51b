"""Answers that look wrong: confident learning (Northcutt, Jiang and Chuang 2021), one label at a time. Pure.

An answer is suspect if a model that has not seen it is confident of the other one. Confident is a probability at least
as high as the mean over the rows with that answer, so that a rare label, whose probabilities are low, has suspects too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9  # p and 1 - (1 - p) differ in their last bits, and so do means of them


@dataclass(frozen=True, slots=True)
class Suspect:
    """An answer worth a second look. `score` is the model's probability of the answer `given`.

    With two classes, self-confidence and the normalised margin (2 · score - 1) rank alike.
    """

    row: int
    label: str
    given: bool
    score: float


def find_suspects(
    labels: Sequence[str], probabilities: NDArray[Any], targets: NDArray[Any], limit: int | None = None
) -> tuple[Suspect, ...]:
    """The suspects of all labels, the least likely first, at most `limit`. Nothing is changed.

    `probabilities` float[n, labels] are out of sample: of a model that was not fitted on the row. `targets`
    float[n, labels] are 1, 0 or NaN for unknown; a NaN in either is passed over. A label with one answer only has none.

    Raises:
        ValueError: shapes that do not fit, probabilities outside 0 to 1, or other targets.
    """
    probabilities, targets = np.asarray(probabilities, np.float64), np.asarray(targets, np.float64)
    if probabilities.shape != targets.shape or targets.ndim != 2 or targets.shape[1] != len(labels):
        raise ValueError(f"probabilities {probabilities.shape}, targets {targets.shape}, {len(labels)} labels")
    if not np.isin(targets[~np.isnan(targets)], (0, 1)).all():
        raise ValueError("targets are 0, 1 or NaN")
    if np.any((probabilities < 0) | (probabilities > 1)):
        raise ValueError("probabilities lie between 0 and 1")
    found = [
        suspect
        for column, label in enumerate(labels)
        for suspect in _of_label(label, probabilities[:, column], targets[:, column])
    ]
    return tuple(sorted(found, key=lambda suspect: (suspect.score, suspect.row, suspect.label))[:limit])


def _of_label(label: str, yes: NDArray[np.float64], targets: NDArray[np.float64]) -> list[Suspect]:
    rows = np.flatnonzero(~np.isnan(yes) & ~np.isnan(targets))
    given = targets[rows].astype(int)
    if len(np.unique(given)) < 2:
        return []
    of_class = np.column_stack([1 - yes[rows], yes[rows]])
    thresholds = np.array([of_class[given == answer, answer].mean() for answer in (0, 1)])
    confident = np.where(of_class >= thresholds - ROUNDING, of_class, -np.inf)
    each = np.arange(len(rows))
    kept, other = confident[each, given], confident[each, 1 - given]
    return [
        Suspect(int(rows[i]), label, bool(given[i]), float(of_class[i, given[i]])) for i in np.flatnonzero(other > kept)
    ]
