"""Whether the HTTP entrance takes more: not while the router is far behind, and of nobody faster than allowed."""

from time import monotonic

from secondlook.common.errors import TooFast
from secondlook.common.http.rates import CallerRates
from secondlook.common.service.permissions import Caller
from secondlook.common.service.stream import WATCH_SECONDS, StreamObserver

BURST = 10_000  # items at once: a whole batch


class Pressure:
    """`most` records may wait to be read, 0: any number; of each caller `per_second` items are taken, 0: any number.

    The number is looked at every WATCH_SECONDS, and only partitions of this process count.
    """

    def __init__(self, most: int = 0, per_second: float = 0.0) -> None:
        self._most, self._behind = most, 0
        self._rates = CallerRates(per_second, max(float(BURST), per_second), "items a second")

    def measured(self, records: int) -> None:
        """So many records wait."""
        self._behind = records

    def admit(self, caller: Caller, items: int = 1) -> None:
        """Raises TooFast, `behind` or `rate_limited`, unless the items may come in now."""
        if self._most and self._behind >= self._most:
            waiting = f"{self._behind:,} records wait to be decided, and {self._most:,} may"
            raise TooFast("behind", waiting, int(WATCH_SECONDS))
        self._rates.take(caller.subject, monotonic(), items)


class MeasuredStream:
    """A `StreamObserver` that tells the pressure, too, how many records wait."""

    def __init__(self, observer: StreamObserver, pressure: Pressure) -> None:
        self._observer, self._pressure = observer, pressure

    def batch_done(self, records: int, dead_letters: int) -> None:
        self._observer.batch_done(records, dead_letters)

    def fenced(self) -> None:
        self._observer.fenced()

    def lag(self, records: int) -> None:
        self._pressure.measured(records)
        self._observer.lag(records)

    def waiting(self, reason: str | None) -> None:
        self._observer.waiting(reason)
