"""When to send again."""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is sent, and how long to wait in between.

    The wait doubles from `first` seconds to `longest`, with chance in it, so that many clients don't come back at once.
    A server's `Retry-After` is honoured; where it is longer than `longest`, the error is raised at once, with it.
    `tries` counts the first one; 1 never repeats, and `math.inf` never gives up.

    Every request of this package can be repeated: what has arrived before changes nothing.
    """

    tries: float = 6
    first: float = 0.5
    longest: float = 30.0

    def wait(self, failed: int, retry_after: float | None = None) -> float | None:
        """Seconds until the next try after `failed` ones; None: no more."""
        if failed >= self.tries or (retry_after is not None and retry_after > self.longest):
            return None
        own = min(self.longest, self.first * 2.0 ** min(failed - 1, 30)) * random.uniform(0.5, 1)  # noqa: S311
        return own if retry_after is None else min(self.longest, max(own, retry_after))


def retry_after(value: str | None) -> float | None:
    """Seconds, of a `Retry-After` header: a number of them, or a date. None where it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isascii() else math.nan
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
