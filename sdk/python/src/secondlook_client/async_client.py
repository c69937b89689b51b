"""The client for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar

import httpx

from secondlook_client import _calls as calls
from secondlook_client._answers import error_of
from secondlook_client._connection import API, ROUTER, Connection, followed
from secondlook_client._sse import Events
from secondlook_client.batches import BYTES, LINES, Batches, Line, Submitted, body_of
from secondlook_client.errors import ClientError, TooLarge
from secondlook_client.feed import Filter, Followed
from secondlook_client.models import Accepted, AcceptedReport, Content, FeedPage, Withdrawn
from secondlook_client.retries import Retries

Answer = TypeVar("Answer")
Contents: TypeAlias = Iterable[calls.Submittable] | AsyncIterable[calls.Submittable]


class AsyncClient:
    """What `Client` is, for asyncio. Tasks may share one; close it, or use it as an asynchronous context manager.

    Every method sends again while the service is away or busy, as `retries` says, and then raises `Unreachable` or the
    server's problem as a `ProblemError`. Repeats change nothing: what has arrived is not done twice.

    Args:
        key: an API key of the role `service`.
        api_url: of the reviewer API, which tells decisions.
        router_url: of the router, which takes content.
        timeout: seconds for each step of a request.
        http: an `httpx.AsyncClient` of your own, for a proxy or certificates. You close it.

    Raises:
        ValueError: the key or an address cannot be used.
    """

    def __init__(
        self,
        key: str,
        *,
        api_url: str = API,
        router_url: str = ROUTER,
        retries: Retries | None = None,
        timeout: float = 30.0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._connection = Connection(key, api_url, router_url, retries or Retries(), timeout)
        self._http, self._own = http or httpx.AsyncClient(), http is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    async def submit(self, content: calls.Submittable) -> Accepted:
        """Submit one revision. When it returns, the revision is stored and will be decided.

        Raises:
            Conflict: the revision would not be decided: `revision_reused`, `superseded` or `withdrawn`.
            Invalid: it breaks the contract; `errors` names the fields.
        """
        return await self._ask(calls.submit(content))

    async def submit_many(
        self,
        contents: Iterable[calls.Submittable] | AsyncIterable[calls.Submittable],
        *,
        lines: int = LINES,
        size: int = BYTES,
    ) -> Submitted:
        """Submit many, in batches of at most so many lines and bytes; returns what was refused.

        It reads `contents` as it goes. Where it raises, some are accepted already: submit all of them again.
        """
        batches = Batches(lines, size)
        async for content in _each(contents):
            await self._send(batches, batches.add(content))
        await self._send(batches, batches.rest())
        return batches.submitted()

    async def withdraw(self, source: str, content_id: str, reason: str | None = None) -> Withdrawn:
        """The content is gone: what was created until now needs no decision any more."""
        return await self._ask(calls.withdraw(source, content_id, reason))

    async def report(
        self, source: str, content_id: str, *, report_id: str, reporter: str, reason: str, note: str | None = None
    ) -> AcceptedReport:
        """A user reports content. The same `report_id` again is the same report.

        `reporter`: a pseudonym that stays the same for a user. The content may come later than its reports.

        Raises:
            Conflict: the id is known with something else (`report_reused`).
        """
        return await self._ask(calls.report(source, content_id, report_id, reporter, reason, note))

    async def content(self, source: str, content_id: str) -> Content:
        """Where each revision stands, and all decisions; raises NotFound."""
        return await self._ask(calls.content(source, content_id))

    async def feed_page(
        self,
        after: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: Literal["approve", "reject"] | None = None,
        decided_by: str | None = None,
        limit: int = 500,
        wait: float = 0,
    ) -> FeedPage:
        """The decisions behind a cursor, oldest first: at most `limit`, and none after `wait` seconds without any.

        Without a cursor it begins with the oldest that is kept; `after="now"` begins with the next one.
        """
        return await self._ask(calls.feed(after, Filter(source, label, outcome, decided_by), limit, wait))

    async def feed(
        self,
        after: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: Literal["approve", "reject"] | None = None,
        decided_by: str | None = None,
        limit: int = 500,
        wait: float = 25,
    ) -> AsyncIterator[FeedPage]:
        """Follow decisions without end, page by page.

        Deal with a page, then store its `next` and give it as `after` at the next start: nothing is skipped, and what
        was dealt with before a crash comes once more.
        """
        while True:
            page = await self.feed_page(
                after, source=source, label=label, outcome=outcome, decided_by=decided_by, limit=limit, wait=wait
            )
            if page.decisions or page.next != after:
                yield page
            after = page.next

    async def stream(
        self,
        after: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: Literal["approve", "reject"] | None = None,
        decided_by: str | None = None,
    ) -> AsyncIterator[Followed]:
        """Follow decisions without end, one by one, as the server sends them; the cursors are those of the feed.

        It connects again where a connection ends, behind the last decision that it gave.
        """
        which, failed = Filter(source, label, outcome, decided_by), 0
        while True:
            try:
                async with aclosing(self._events(after, which)) as events:
                    async for found in events:
                        failed = 0
                        if found is not None:
                            after = found.cursor
                            yield found
                wait = self._connection.retries.first
            except ClientError as error:
                failed += 1
                wait = self._connection.wait(failed, error)
            await asyncio.sleep(wait)

    async def _events(self, after: str | None, which: Filter) -> AsyncGenerator[Followed | None, None]:
        """The decisions of one connection, and None for every sign of life."""
        try:
            async with self._http.stream(**self._connection.stream(after, which)) as answer:
                if not answer.is_success:
                    await answer.aread()
                if (error := error_of(answer)) is not None:
                    raise error
                events = Events()
                async for more in answer.aiter_bytes():
                    yield None
                    for event in events.feed(more):
                        yield followed(event)
        except httpx.RequestError as error:
            raise self._connection.unreachable(error) from error

    async def _send(self, batches: Batches, batch: Sequence[Line]) -> None:
        if batch:
            try:
                batches.answered(batch, await self._ask(calls.submit_lines(body_of(batch))))
            except TooLarge as error:
                for half in batches.too_large(batch, error):
                    await self._send(batches, half)

    async def _ask(self, call: calls.Call[Answer]) -> Answer:
        failed = 0
        while True:
            error: ClientError | None
            try:
                answer = await self._http.request(**self._connection.request(call))
            except httpx.RequestError as trouble:
                error = self._connection.unreachable(trouble)
                error.__cause__ = trouble
            else:
                if (error := error_of(answer)) is None:
                    return call.read(answer.content)
            failed += 1
            await asyncio.sleep(self._connection.wait(failed, error))


async def _each(contents: Contents) -> AsyncIterator[calls.Submittable]:
    if isinstance(contents, AsyncIterable):
        async for content in contents:
            yield content
    else:
        for content in contents:
            yield content
