"""How `up` asks PostgreSQL, which it may just be starting again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from secondlook.common.backoff import Backoff
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import TRANSIENT

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, which is tried again for as long as the database does not answer.

    Only for a database that has answered before: there, a connection that cannot be made is no wrong setting.
    """
    backoff = Backoff(most=1.0)
    while True:
        try:
            return await work()
        except TRANSIENT:
            pass
        except ConfigurationError as error:
            if not isinstance(error.__cause__, TRANSIENT):
                raise
        await asyncio.sleep(backoff.wait())
