"""The client and the client for asyncio behind one face, so that one test asks both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from secondlook_client import AsyncClient, Client, Retries

FAST = Retries(tries=4, first=0.001, longest=0.05)
KEY = "sl_key_of_a_test"


class Called:
    """Calls the methods of one kind of client, a new client each time; returns what they return.

    Of an iterator it returns the first `first` items.
    """

    def __init__(self, asynchronous: bool) -> None:
        self._asynchronous = asynchronous

    def __call__(
        self, url: str, method: str, *arguments: Any, first: int = 0, retries: Retries = FAST, timeout: float = 5,
        **named: Any,
    ) -> Any:  # fmt: skip
        options: dict[str, Any] = {"api_url": url, "router_url": url, "retries": retries, "timeout": timeout}
        if self._asynchronous:
            return asyncio.run(_asynchronously(options, method, arguments, named, first))
        with Client(KEY, **options) as client:
            found = getattr(client, method)(*arguments, **named)
            if isinstance(found, Iterator):
                return list(islice(found, first))
            return found


async def _asynchronously(
    options: dict[str, Any], method: str, arguments: tuple[Any, ...], named: dict[str, Any], first: int
) -> Any:
    async with AsyncClient(KEY, **options) as client:
        call: Callable[..., Any] = getattr(client, method)
        found = call(*arguments, **named)
        if not isinstance(found, AsyncIterator):
            return await found
        items: list[Any] = []
        while len(items) < first:
            items.append(await anext(found))
        await found.aclose()  # type: ignore[attr-defined]
        return items
