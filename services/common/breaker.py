"""When an endpoint of somebody else is left alone for a while. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

THRESHOLD = 5  # failures in a row after which the endpoint rests
FIRST_REST, LONGEST_REST = 5.0, 60.0  # seconds
LONGEST_ASKED = 3600.0  # seconds


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

    def failed(self, now: datetime, retry_after: float = 0.0) -> None:
        """An attempt failed; the endpoint may ask for a rest of so many seconds, and gets up to `LONGEST_ASKED`.

        Those that were under way when it began to rest count no more.
        """
        if self.resting_until is not None and now < self.resting_until:
            return
        self.failures += 1
        rest = min(retry_after, LONGEST_ASKED)
        if self.failures >= THRESHOLD:
            rest = max(rest, min(FIRST_REST * 2 ** min(self.failures - THRESHOLD, 10), LONGEST_REST))
        if rest > 0:
            self.resting_until = now + timedelta(seconds=rest)
