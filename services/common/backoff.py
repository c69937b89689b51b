"""How long to wait before the next try."""

import asyncio
import random


class Backoff:
    """Waits that grow from `first` to `most` seconds, by `factor` from one failure to the next.

    Each is between half of that and the whole, drawn anew ("equal jitter", Brooker, "Exponential Backoff and Jitter",
    AWS Architecture Blog, 2015), so that many who lost the same server do not come back in one moment.
    """

    def __init__(
        self, first: float = 0.1, most: float = 5.0, *, factor: float = 2.0, chance: random.Random | None = None
    ) -> None:
        self._first, self._most, self._factor = min(first, most), most, factor
        self._chance = chance or random.Random()  # noqa: S311 - spreads the load, keeps no secret
        self._next = self._first
        self._failures = 0

    @property
    def failing(self) -> bool:
        """Whether something failed since the last success."""
        return self._failures > 0

    def wait(self) -> float:
        """Something failed: the seconds to wait now.

        Raises:
            CancelledError: the task was asked to stop, and what failed while it ended, such as a rollback over a dead
                connection, took the place of that request. To try again would be never to stop.
        """
        if _asked_to_stop():
            raise asyncio.CancelledError
        seconds = self._next * self._chance.uniform(0.5, 1.0)
        self._failures += 1
        self._next = min(self._next * self._factor, self._most)
        return seconds

    def reset(self) -> None:
        """It worked: the next failure waits for about `first` seconds again."""
        self._failures, self._next = 0, self._first


def _asked_to_stop() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # outside an event loop nothing is cancelled
        return False
    return task is not None and task.cancelling() > 0
