"""Heavy work takes turns and leaves room for the rest."""

import asyncio
import itertools
from time import perf_counter

import pytest

from secondlook.common.errors import Busy
from secondlook.common.http.turns import SLICE_SECONDS, Breath, Turns


async def test_one_works_some_wait_in_order_and_the_others_are_put_off() -> None:
    turns, order, done = Turns(at_once=1, waiting=2), list[int](), asyncio.Event()

    async def work(number: int) -> None:
        async with turns.turn():
            order.append(number)
            await done.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0]
    assert [isinstance(task.exception(), Busy) for task in tasks[3:]] == [True, True]
    done.set()
    await asyncio.gather(*tasks[:3])
    assert order == [0, 1, 2]


async def test_one_that_gives_up_waiting_leaves_its_place() -> None:
    turns = Turns(at_once=1, waiting=1)
    async with turns.turn():
        for _ in range(3):
            waiting = asyncio.create_task(turns.turn().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(1), turns.turn():
        """There is a turn to be had."""


async def test_a_step_keeps_the_next_one_waiting_for_as_long_as_it_took() -> None:
    turns, times = Turns(at_once=1, waiting=9), list[tuple[float, float]]()

    def step() -> int:
        began = perf_counter()
        while perf_counter() - began < 0.02:
            pass
        times.append((began, perf_counter()))
        return len(times)

    assert await asyncio.gather(*(turns.run(step) for _ in range(4))) == [1, 2, 3, 4]
    assert all(later[0] - earlier[1] >= 0.019 for earlier, later in itertools.pairwise(times))


async def test_a_step_that_fails_gives_its_turn_back() -> None:
    turns = Turns(at_once=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await turns.run(lambda: 1 // 0)


async def test_long_work_on_the_loop_lets_others_run() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    breath, began = Breath(), perf_counter()
    while perf_counter() - began < 50 * SLICE_SECONDS:
        await breath.pause_if_due()
    ticking.cancel()
    assert ticks > 10
