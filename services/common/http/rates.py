"""How fast one caller may go: a bucket of tokens for each, filled at a steady rate. Pure but for its dictionary."""

import math
from collections import OrderedDict

from secondlook.common.errors import TooFast

MOST = 10_000  # callers that are remembered; who asks least is forgotten first, with a full bucket


class CallerRates:
    """Lets `per_second` through on average, and `burst` at once; 0 a second: everything.

    It is one process's: several of them let through as many times as much.
    """

    def __init__(self, per_second: float, burst: float, what: str) -> None:
        self._rate, self._burst, self._what = per_second, burst, what
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and as of when

    def take(self, caller: str, now: float, tokens: float = 1.0) -> None:
        """Take tokens; what is more than `burst` waits for a full bucket.

        Raises:
            TooFast: `rate_limited`: there are too few, and none is taken; says after how many seconds there are enough.
        """
        if self._rate <= 0:
            return
        left, at = self._buckets.get(caller, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        need = min(tokens, self._burst)
        if left < need:
            self._keep(caller, left, now)
            wait = math.ceil((need - left) / self._rate)
            raise TooFast("rate_limited", f"your key may not take more than {self._rate:g} {self._what}", max(wait, 1))
        self._keep(caller, left - tokens, now)

    def _keep(self, caller: str, left: float, now: float) -> None:
        self._buckets[caller] = (left, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
