"""The client and the client for asyncio behind one face, so that one test asks both."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, cast

from secondlook_client import AsyncClient, Client, Retries

FAST = Retries(tries=4, first=0.001, longest=0.05)
KEY = "sl_key_of_a_test"


class Called:
    """Calls the methods of one kind of client, a new client each time; returns what they return.

    Of an iterator it returns the first `first` items.
    """

    def __init__(self, asynchronous: bool) -> None:
        self.asynchronous = asynchronous

    def __call__(
        self, url: str, method: str, *arguments: Any, first: int = 0, key: str = KEY, router_url: str | None = None,
        retries: Retries = FAST, **named: Any,
    ) -> Any:  # fmt: skip
        options: dict[str, Any] = {"api_url": url, "router_url": router_url or url, "retries": retries}
        if self.asynchronous:
            return asyncio.run(_asynchronously(key, options, method, arguments, named, first))
        with Client(key, **options) as client:
            found = getattr(client, method)(*arguments, **named)
            if isinstance(found, Iterator):
                return list(islice(found, first))
            return found


async def _asynchronously(
    key: str, options: dict[str, Any], method: str, arguments: tuple[Any, ...], named: dict[str, Any], first: int
) -> Any:
    async with AsyncClient(key, **options) as client:
        call: Callable[..., Any] = getattr(client, method)
        found = call(*arguments, **named)
        if not isinstance(found, AsyncIterator):
            return await found
        items = [await anext(found) for _ in range(first)]
        await cast(AsyncGenerator[Any, None], found).aclose()
        return items
