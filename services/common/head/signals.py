"""Signals as features of the head: what other classifiers said of an item, beside its text.

Router and trainer share this module. A signal has two columns: its logit, standardised, and whether it is missing.
A missing one has the logit of the median, so that the second column alone tells. The logit served better than
the value, and no worse than both (AUROC after 1,000 labelled texts with a vendor's scores: 0.851, 0.840 and 0.849).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from secondlook.common.contract.fields import MAX_SIGNALS, Probability, SignalName

COLUMNS = 2
USUAL = 0.9  # a model that had a signal of so many items does not know what to make of one without it
_NEAR = 1e-3  # closer to 0 and 1 than this, a logit says no more
Said = Sequence[Mapping[str, float]]  # what was said of each of n items; empty: nothing of any


class SignalFeature(BaseModel):
    """A signal as training saw it, in the `present` share of the items.

    `lowest` and `highest` are the values between which all of them lay. `mean` and `spread`: of the logit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: SignalName
    present: Probability
    median: Probability
    lowest: Probability
    highest: Probability
    mean: FiniteFloat
    spread: Annotated[FiniteFloat, Field(gt=0)]

    @property
    def usual(self) -> bool:
        """Whether nearly all that the model learned from had it."""
        return self.present >= USUAL


Features = tuple[SignalFeature, ...]


def describe_signals(said: Said, least: int, share: float, traffic: Said = ()) -> Features:
    """The signals that at least `least` of n items had, and this share of them; of too many, the most frequent.

    `traffic`: those of the items that came as content comes, which say how usual a signal is; all of them if not given.
    """
    found: dict[str, list[float]] = {}
    for signals in said:
        for name, value in signals.items():
            found.setdefault(name, []).append(value)
    enough = {name: values for name, values in found.items() if len(values) >= max(least, share * len(said))}
    chosen = sorted(enough, key=lambda name: (-len(enough[name]), name))[:MAX_SIGNALS]
    seen = traffic or said
    present = {name: sum(name in signals for signals in seen) / len(seen) for name in chosen}
    return tuple(
        _feature(name, present[name], np.array(enough[name], np.float64), len(said)) for name in sorted(chosen)
    )


def _feature(name: str, present: float, values: NDArray[np.float64], n: int) -> SignalFeature:
    median = float(np.median(values))
    logits = _logit(np.concatenate([values, np.full(n - len(values), median)]))
    spread = float(logits.std())
    return SignalFeature(
        name=name, present=present, median=median, lowest=float(values.min()), highest=float(values.max()),
        mean=float(logits.mean()), spread=spread if spread > 1e-6 else 1.0,
    )  # fmt: skip


def columns(said: Said, features: Features, n: int) -> NDArray[np.float32]:
    """float32[n, COLUMNS · features] of n items; of none of them anything was said if `said` is empty."""
    found = np.zeros((n, COLUMNS * len(features)), np.float32)
    for number, feature in enumerate(features):
        values = np.array([signals.get(feature.name, np.nan) for signals in said] or [np.nan] * n, np.float64)
        missing = np.isnan(values)
        found[:, 2 * number] = (_logit(np.where(missing, feature.median, values)) - feature.mean) / feature.spread
        found[:, 2 * number + 1] = missing
    return found


def unfamiliar(signals: Mapping[str, float], features: Features) -> str | None:
    """The first signal that keeps a model from saying anything of an item: nearly all items of training had it and this
    one has not, or its value lies outside those of training. None if there is none."""
    for feature in features:
        value = signals.get(feature.name)
        if value is None:
            if feature.usual:
                return feature.name
        elif not feature.lowest <= value <= feature.highest:
            return feature.name
    return None


def self_test_signals(features: Features, n: int) -> list[dict[str, float]]:
    """Signals for n texts of a self-test: low, usual and high ones, and none."""
    kinds: list[dict[str, float]] = [
        {feature.name: feature.lowest for feature in features},
        {feature.name: feature.median for feature in features},
        {feature.name: feature.highest for feature in features},
        {},
    ]
    return [kinds[number % len(kinds)] for number in range(n)]


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    inner = np.clip(values, _NEAR, 1 - _NEAR)
    return np.asarray(np.log(inner / (1 - inner)))
