"""When a delivery is tried again, and when an endpoint is left alone for a while. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

GIVE_UP = timedelta(days=3)  # from the first moment at which it was due
WAITS = tuple(map(float, (5, 30, 120, 600, 1800, 3600, 7200, 14_400)))  # seconds; the last one over and over
THRESHOLD = 5  # failures in a row after which the endpoint rests
FIRST_REST, LONGEST_REST = 5.0, 60.0  # seconds


def next_try(attempts: int, retry_after: float | None = None) -> timedelta:
    """How long to wait after so many failed attempts; longer where the endpoint asks for it, up to an hour."""
    return timedelta(seconds=max(WAITS[min(attempts, len(WAITS)) - 1], min(retry_after or 0.0, 3600.0)))


@dataclass(slots=True)
class Breaker:
    """Rests an endpoint at which nothing arrives: then it gets one attempt at a time, ever more rarely.

    One success opens it again at once.
    """

    failures: int = 0
    resting_until: datetime | None = None

    def room(self, now: datetime, most: int) -> int:
        """How many attempts may be under way at once."""
        if self.resting_until is None:
            return most
        return 0 if now < self.resting_until else 1

    def succeeded(self) -> bool:
        """Something arrived; returns whether the endpoint had rested."""
        rested = self.resting_until is not None
        self.failures, self.resting_until = 0, None
        return rested

    def failed(self, now: datetime) -> None:
        """An attempt failed. Those that were under way when the endpoint began to rest count no more."""
        if self.resting_until is not None and now < self.resting_until:
            return
        self.failures += 1
        if self.failures >= THRESHOLD:
            rest = min(FIRST_REST * 2 ** min(self.failures - THRESHOLD, 10), LONGEST_REST)
            self.resting_until = now + timedelta(seconds=rest)
