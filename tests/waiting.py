"""Waiting for a condition, in place of a pause that is hoped to be long enough."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Return as soon as `condition` holds, which is asked every 20 ms.

    Raises:
        TimeoutError: it did not come true within so many seconds.
    """
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.02)
