"""When a delivery is tried again. Pure."""

from datetime import timedelta

from secondlook.common.breaker import LONGEST_ASKED

GIVE_UP = timedelta(days=3)  # from the first moment at which it was due
WAITS = tuple(map(float, (5, 30, 120, 600, 1800, 3600, 7200, 14_400)))  # seconds; the last one over and over


def next_try(attempts: int, retry_after: float | None = None) -> timedelta:
    """How long to wait after so many failed attempts; longer where the endpoint asks for it, up to an hour."""
    return timedelta(seconds=max(WAITS[min(attempts, len(WAITS)) - 1], min(retry_after or 0.0, LONGEST_ASKED)))
