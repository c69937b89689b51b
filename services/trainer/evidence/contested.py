"""The gate where one person contradicts everybody else: that person measures neither bundle there. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from secondlook.common.bundle.arrays import Array
from secondlook.trainer.evidence.gate_checks import CUT, Check, Margins, highest_mean


@dataclass(frozen=True, slots=True, eq=False)
class Contested:
    """Texts of which one person contradicts everybody else about one label. `expected`[k] is what the others'
    judgements teach, `challenger`[k] and `active`[k] are scores, NaN where the active bundle lacks the label.
    """

    name: str
    expected: Array
    challenger: Array
    active: Array


def contested_slices(slices: Sequence[Contested], margins: Margins) -> Iterator[Check]:
    """Where one person contradicts everybody else, the challenger follows the others as closely as the active bundle.

    Losses are cross entropies against what the others' judgements teach. A slice fails if the challenger is worse by
    more than a slice's margin, and significantly so; the level is shared by all of them.
    """
    for each in slices:
        known = ~np.isnan(each.active)
        new, old = (_cross_entropy(each.expected[known], scores[known]) for scores in (each.challenger, each.active))
        if len(new) < margins.contested_items:
            yield Check(each.name, None, f"{len(new)} texts to compare, {margins.contested_items} are needed")
            continue
        difference = float(np.mean(new - old))
        least = 0 - highest_mean(old - new, 1 - (1 - margins.confidence) / len(slices))
        margin = max(margins.slice_log_loss * float(old.mean()), margins.log_loss_floor)
        figures = f"mean cross entropy {new.mean():.4f}, active {old.mean():.4f}"
        detail = (
            f"{figures}, difference {difference:+.4f} and at least {least:+.4f}, margin {margin:.4f}, {len(new)} texts"
        )
        yield Check(each.name, difference <= margin or least <= 0, detail)


def _cross_entropy(expected: Array, scores: Array) -> Array:
    p = np.clip(scores, CUT, 1 - CUT)
    return -(expected * np.log(p) + (1 - expected) * np.log1p(-p))
