"""What the gate asks so that no single person decides it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array
from secondlook.trainer.gate.check import Check
from secondlook.trainer.gate.questions import CUT, Margins, Paired, highest_mean


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

    Losses are cross entropies against what the others' judgements teach.
    """
    for each in slices:
        known = ~np.isnan(each.active) & ~np.isnan(each.expected)
        new, old = (_cross_entropy(each.expected[known], scores[known]) for scores in (each.challenger, each.active))
        yield _not_worse(each.name, new, old, len(slices), margins.contested_items, margins)


def without_each(paired: Paired, named: Mapping[str, NDArray[Any]], margins: Margins) -> Iterator[Check]:
    """The challenger is no worse without the judgements of any one person. `named`: the items left, bool[n] each."""
    new, old = paired.losses()
    for name, inside in named.items():
        left = np.asarray(inside, np.bool_) & ~np.isnan(new)
        yield _not_worse(f"gold {name}", new[left], old[left], len(named), margins.slice_items, margins)


def _not_worse(name: str, new: Array, old: Array, checks: int, enough: int, margins: Margins) -> Check:
    """Fails if the challenger is worse by more than a slice's margin, and significantly; all checks share the level."""
    if len(new) < enough:
        return Check(name, None, f"{len(new)} items, {enough} are needed")
    difference = float(np.mean(new - old))
    least = 0 - highest_mean(old - new, 1 - (1 - margins.confidence) / checks)
    margin = max(margins.slice_log_loss * float(old.mean()), margins.log_loss_floor)
    figures = f"mean loss {new.mean():.4f}, active {old.mean():.4f}, difference {difference:+.4f}"
    detail = f"{figures} and at least {least:+.4f}, margin {margin:.4f}, {len(new)} items"
    return Check(name, difference <= margin or least <= 0, detail)


def _cross_entropy(expected: Array, scores: Array) -> Array:
    p = np.clip(scores, CUT, 1 - CUT)
    return -(expected * np.log(p) + (1 - expected) * np.log1p(-p))
