"""Waits grow, have a bound, are spread by chance, and start over after a success."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.backoff import Backoff


class Whole(random.Random):
    """Draws the longest wait there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_waits_double_up_to_the_most_and_start_over_after_a_success() -> None:
    backoff = Backoff(0.1, 1.0, chance=Whole())
    assert [round(backoff.wait(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert [round(backoff.wait(), 3) for _ in range(2)] == [0.1, 0.2]


def test_it_is_failing_from_the_first_failure_to_the_next_success() -> None:
    backoff = Backoff()
    assert not backoff.failing
    backoff.wait()
    assert backoff.failing
    backoff.reset()
    assert not backoff.failing


@given(
    first=st.floats(0.001, 100),
    most=st.floats(0.001, 100),
    factor=st.floats(1, 10),
    failures=st.integers(1, 40),
    seed=st.integers(),
)
def test_a_wait_is_never_longer_than_the_most_nor_shorter_than_half_the_first(
    first: float, most: float, factor: float, failures: int, seed: int
) -> None:
    backoff = Backoff(first, most, factor=factor, chance=random.Random(seed))
    waits = [backoff.wait() for _ in range(failures)]
    assert all(min(first, most) / 2 <= wait <= most for wait in waits)


def test_two_that_fail_together_do_not_come_back_together() -> None:
    one, other = Backoff(), Backoff()
    assert [one.wait() for _ in range(5)] != [other.wait() for _ in range(5)]


async def test_a_task_that_was_asked_to_stop_stops_though_its_end_failed() -> None:
    """A rollback over a dead connection raises another error in place of the cancellation."""
    backoff, started = Backoff(0.0), asyncio.Event()

    async def loop() -> None:
        while True:
            try:
                try:
                    started.set()
                    await asyncio.sleep(60)
                finally:
                    raise ConnectionResetError("the rollback failed")
            except ConnectionError:
                await asyncio.sleep(backoff.wait())

    task = asyncio.create_task(loop())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
