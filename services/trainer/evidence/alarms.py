"""Alarms: one takes a side out of automatic use, and one only warns. No I/O, no clock.

The risk alarm may be read after every audit: the chance that it is ever false is bounded, over all readings together
(Robbins 1970: a mixture of likelihood ratios is a supermartingale, and Ville's inequality bounds its maximum).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from river.drift import ADWIN
from scipy.special import betaincc, betaln

BISECTIONS = 40
WINDOW = 200
DRIFT_DELTA = 0.02


@dataclass(frozen=True, slots=True)
class RiskAlarm:
    """Whether a stream of audits shows that more than `epsilon` of a side's decisions are wrong.

    Its whole state is `k` wrong of `n`, so it can be restored from counts. As long as each audit is wrong with a chance
    of at most epsilon given those before it, the probability that it ever fires is at most delta. That
    `fired` may become False again as more audits follow is no all-clear: callers must remember that it fired.

    Raises:
        ValueError: epsilon or delta not between 0 and 1, or not 0 <= k <= n.
    """

    epsilon: float
    delta: float
    n: int
    k: int

    def __post_init__(self) -> None:
        if not (0 < self.epsilon < 1 and 0 < self.delta < 1 and 0 <= self.k <= self.n):
            raise ValueError(f"no alarm: epsilon {self.epsilon}, delta {self.delta}, {self.k} wrong of {self.n}")

    @property
    def fired(self) -> bool:
        return self._evidence(self.epsilon) >= -math.log(self.delta)

    @property
    def lower_bound(self) -> float:
        """A lower bound of the error, for which the same holds at all times together; 0 while nothing is known."""
        low, high = 0.0, self.k / self.n if self.n else 0.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if middle > 0 and self._evidence(middle) >= -math.log(self.delta):
                low = middle
            else:
                high = middle
        return low

    def _evidence(self, risk: float) -> float:
        """Log of the mean likelihood over errors above `risk`, against that of `risk`.

        The errors are weighed by Beta(1, b) with mean near 3 epsilon, where an alarm has to be quick.
        """
        if self.k <= risk * self.n:
            return -math.inf
        b = max(1.0, 1 / (3 * self.epsilon))
        wrong, right = self.k + 1, self.n - self.k + b
        above = float(betaincc(wrong, right, risk))
        if above == 0:  # underflow, far from any evidence
            return -math.inf
        mixed = betaln(wrong, right) + math.log(above) + math.log(b) - b * math.log1p(-risk)
        return float(mixed - self.k * math.log(risk) - (self.n - self.k) * math.log1p(-risk))


def changed_risk(outcomes: Sequence[bool], epsilon: float, delta: float) -> RiskAlarm:
    """The alarm over audits (wrong or not, in their order) that also finds a risk that rose after a long good past.

    Every `WINDOW` audits another alarm begins; the k-th may spend δ/(k(k+1)), so all of them together are false with
    a chance of at most δ. Returns the oldest alarm that fires; if none does, the oldest.
    """
    suffix = [0, *itertools.accumulate(map(int, reversed(outcomes)))]
    alarms = [
        RiskAlarm(epsilon, delta / (k * (k + 1)), n, suffix[n])
        for k, n in enumerate(range(len(outcomes), -1, -WINDOW), start=1)
    ]
    return next((alarm for alarm in alarms if alarm.fired), alarms[0])


@dataclass(frozen=True, slots=True)
class DriftWarning:
    """The mean of a series changed: `before` over `n_before` values, `after` over the newest `n_after`."""

    series: str
    before: float
    after: float
    n_before: int
    n_after: int


class Drift:
    """Watches named series of values in [0, 1] (audit errors, overturns, scores) for a change of their mean, by ADWIN.

    A warning, of a rise or a fall, is for a person to look at; nothing is promoted or switched off for it. After one,
    the series starts again. The state is in memory: to restore it, add the past values again.
    """

    def __init__(self, delta: float = DRIFT_DELTA) -> None:
        self._delta = delta
        self._windows: dict[str, ADWIN] = {}

    def add(self, series: str, value: float) -> DriftWarning | None:
        """Take in the next value of a series; a warning if its mean has changed. ValueError outside [0, 1]."""
        if not 0 <= value <= 1:
            raise ValueError(f"{series}: {value} is not in [0, 1]")
        window = self._windows.setdefault(series, ADWIN(delta=self._delta))
        total, width = window.total + value, window.width + 1
        window.update(value)
        if not window.drift_detected:
            return None
        del self._windows[series]
        dropped = width - window.width
        return DriftWarning(
            series, (total - window.total) / dropped, window.estimation, int(dropped), int(window.width)
        )
