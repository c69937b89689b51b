"""One attempt: a POST, and what came back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Self

import httpcore

from secondlook.common.printable import cut
from secondlook.reviewer_api.webhooks.targets import GuardedNetwork, TargetRefused

SECONDS = 10.0  # for the whole attempt
MOST_READ = 16 * 1024  # bytes of an answer; of a longer one the connection is closed
IDLE_SECONDS = 4.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt. `status` is None where no answer came in time; `problem` says it to a person."""

    status: int | None
    problem: str | None
    seconds: float
    retry_after: float | None = None

    @property
    def arrived(self) -> bool:
        """Only 2xx says so: a redirect is not followed."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends to one endpoint, over connections that it keeps. `at_once`: how many there are at most."""

    def __init__(self, *, private: bool, at_once: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=at_once, keepalive_expiry=IDLE_SECONDS, network_backend=GuardedNetwork(private=private)
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def send(self, url: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Attempt:
        """One attempt; never raises for what the other side does."""
        began = perf_counter()
        try:
            async with asyncio.timeout(SECONDS):
                status, retry_after = await self._post(url, headers, body)
        except TimeoutError:
            return Attempt(None, f"no answer within {SECONDS:g} s", perf_counter() - began)
        except TargetRefused as error:
            return Attempt(None, cut(str(error), 300), perf_counter() - began)
        except Exception as error:
            return Attempt(None, cut(f"{type(error).__name__}: {error}", 300), perf_counter() - began)
        taken = perf_counter() - began
        if 200 <= status < 300:
            return Attempt(status, None, taken)
        problem = "a redirect, which is not followed" if 300 <= status < 400 else "the endpoint refused it"
        return Attempt(status, f"{status}: {problem}", taken, retry_after)

    async def _post(self, url: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[int, float | None]:
        all_headers = [*headers, (b"content-length", b"%d" % len(body))]
        async with self._pool.stream("POST", url, headers=all_headers, content=body) as response:
            read = 0
            async for part in response.aiter_stream():
                read += len(part)
                if read > MOST_READ:
                    break
            after = dict(response.headers).get(b"retry-after", b"")
            return response.status, float(after) if after.isdigit() else None
