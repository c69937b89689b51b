"""The client."""

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar

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


class Client:
    """Talks to Second Look over HTTP. Threads may share one; close it, or use it as a context manager.

    Every method sends again while the service is away or busy, as `retries` says, and then raises `Unreachable` or the
    server's problem as a `ProblemError`. Repeats change nothing: what has arrived is not done twice.

    Args:
        key: an API key of the role `service`.
        api_url: of the reviewer API, which tells decisions.
        router_url: of the router, which takes content.
        timeout: seconds for each step of a request.
        http: an `httpx.Client` of your own, for a proxy or certificates. You close it.

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
        http: httpx.Client | None = None,
    ) -> None:
        self._connection = Connection(key, api_url, router_url, retries or Retries(), timeout)
        self._http, self._own = http or httpx.Client(), http is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._own:
            self._http.close()

    def submit(self, content: calls.Submittable) -> Accepted:
        """Submit one revision. When it returns, the revision is stored and will be decided.

        Raises:
            Conflict: the revision would not be decided: `revision_reused`, `superseded` or `withdrawn`.
            Invalid: it breaks the contract; `errors` names the fields.
        """
        return self._ask(calls.submit(content))

    def submit_many(self, contents: Iterable[calls.Submittable], *, lines: int = LINES, size: int = BYTES) -> Submitted:
        """Submit many, in batches of at most so many lines and bytes; returns what was refused.

        It reads `contents` as it goes. Where it raises, some are accepted already: submit all of them again.
        """
        batches = Batches(lines, size)
        for content in contents:
            self._send(batches, batches.add(content))
        self._send(batches, batches.rest())
        return batches.submitted()

    def withdraw(self, source: str, content_id: str, reason: str | None = None) -> Withdrawn:
        """The content is gone: what was created until now needs no decision any more."""
        return self._ask(calls.withdraw(source, content_id, reason))

    def report(
        self, source: str, content_id: str, *, report_id: str, reporter: str, reason: str, note: str | None = None
    ) -> AcceptedReport:
        """A user reports content. The same `report_id` again is the same report.

        `reporter`: a pseudonym that stays the same for a user. The content may come later than its reports.

        Raises:
            Conflict: the id is known with something else (`report_reused`).
        """
        return self._ask(calls.report(source, content_id, report_id, reporter, reason, note))

    def content(self, source: str, content_id: str) -> Content:
        """Where each revision stands, and all decisions; raises NotFound."""
        return self._ask(calls.content(source, content_id))

    def feed_page(
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
        return self._ask(calls.feed(after, Filter(source, label, outcome, decided_by), limit, wait))

    def feed(
        self,
        after: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: Literal["approve", "reject"] | None = None,
        decided_by: str | None = None,
        limit: int = 500,
        wait: float = 25,
    ) -> Iterator[FeedPage]:
        """Follow decisions without end, page by page.

        Deal with a page, then store its `next` and give it as `after` at the next start: nothing is skipped, and what
        was dealt with before a crash comes once more.
        """
        while True:
            page = self.feed_page(
                after, source=source, label=label, outcome=outcome, decided_by=decided_by, limit=limit, wait=wait
            )
            if page.decisions or page.next != after:
                yield page
            after = page.next

    def stream(
        self,
        after: str | None = None,
        *,
        source: str | Sequence[str] | None = None,
        label: str | Sequence[str] | None = None,
        outcome: Literal["approve", "reject"] | None = None,
        decided_by: str | None = None,
    ) -> Iterator[Followed]:
        """Follow decisions without end, one by one, as the server sends them; the cursors are those of the feed.

        It connects again where a connection ends, behind the last decision that it gave.
        """
        which, failed = Filter(source, label, outcome, decided_by), 0
        while True:
            try:
                for found in self._events(after, which):
                    failed = 0
                    if found is not None:
                        after = found.cursor
                        yield found
                wait = self._connection.retries.first
            except ClientError as error:
                failed += 1
                wait = self._connection.wait(failed, error)
            time.sleep(wait)

    def _events(self, after: str | None, which: Filter) -> Iterator[Followed | None]:
        """The decisions of one connection, and None for every sign of life."""
        try:
            with self._http.stream(**self._connection.stream(after, which)) as answer:
                if not answer.is_success:
                    answer.read()
                if (error := error_of(answer)) is not None:
                    raise error
                events = Events()
                for more in answer.iter_bytes():
                    yield None
                    for event in events.feed(more):
                        yield followed(event)
        except httpx.RequestError as error:
            raise self._connection.unreachable(error) from error

    def _send(self, batches: Batches, batch: Sequence[Line]) -> None:
        if batch:
            try:
                batches.answered(batch, self._ask(calls.submit_lines(body_of(batch))))
            except TooLarge as error:
                for half in batches.too_large(batch, error):
                    self._send(batches, half)

    def _ask(self, call: calls.Call[Answer]) -> Answer:
        failed = 0
        while True:
            error: ClientError | None
            try:
                answer = self._http.request(**self._connection.request(call))
            except httpx.RequestError as trouble:
                error = self._connection.unreachable(trouble)
                error.__cause__ = trouble
            else:
                if (error := error_of(answer)) is None:
                    return call.read(answer.content)
            failed += 1
            time.sleep(self._connection.wait(failed, error))
