"""The HTTP entrance: checks content like the handler, then publishes it to the bus. It answers after the commit."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from secondlook.common.bus import Message
from secondlook.common.bus.wire import encode, parse, refuse_large
from secondlook.common.clock import Clock
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, Event
from secondlook.common.errors import FieldProblem, Forbidden, InvalidInput, NotFound, PayloadTooLarge
from secondlook.common.http.turns import LARGE, Breath, Turns
from secondlook.common.service.permissions import Caller
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.identity.admission import check_time
from secondlook.router.identity.promises import AcceptedWithdrawal, promise, promise_withdrawal, standing
from secondlook.router.ingest.pressure import Pressure
from secondlook.router.ingest.refusals import Refusals
from secondlook.router.metrics import RouterMetrics

MAX_LINES = 10_000
UNROUTED = frozenset({"accepted", "superseded", "withdrawn"})  # all other routes are decisions and reviews
WAITING = 32  # batches and large items that may wait while one is read


class Submissions:
    """Accepts content. When a call returns, the items that it accepted are on the bus, and no crash loses them."""

    def __init__(
        self, transactions: Transactions, clock: Clock, metrics: RouterMetrics, ahead: timedelta,
        pressure: Pressure | None = None,
    ) -> None:  # fmt: skip
        self._transactions, self._clock, self._metrics, self._ahead = transactions, clock, metrics, ahead
        self._pressure = pressure or Pressure()
        self._turns = Turns(at_once=1, waiting=WAITING)

    async def submit(self, body: bytes, caller: Caller, trace: str | None = None) -> ContentSubmitted:
        """Accept one revision.

        Raises:
            InvalidInput: the body breaks the contract; names each field.
            RevisionReused, RevisionPassed: the revision would not be decided; tells what to send instead.
            Forbidden: the caller may not send for this source.
            TooFast: the router is behind, or the caller sends faster than allowed.
            Busy: it is large, and WAITING large ones wait already.
        """
        self._pressure.admit(caller)
        read = partial(self._read, body, trace)
        content, message = await self._turns.run(read) if len(body) > LARGE else read()
        caller.ensure_source(content.source)
        (problem,) = await self._accept([(content, message)])
        if problem is not None:
            raise problem
        return content

    async def submit_lines(self, body: bytes, caller: Caller, trace: str | None = None) -> tuple[int, Refusals]:
        """Accept NDJSON. Good lines are accepted in one transaction, bad ones are named; empty lines do not count.

        It reads one batch at a time, a few lines at once, so that other requests are answered meanwhile.

        Raises:
            PayloadTooLarge: more than MAX_LINES lines; nothing is accepted.
            Busy: WAITING batches wait already; nothing is accepted.
            TooFast: the router is behind, or the caller sends faster than allowed; nothing is accepted.
        """
        if (lines := body.count(b"\n")) > MAX_LINES:
            raise PayloadTooLarge(f"more than {MAX_LINES} lines")
        self._pressure.admit(caller, items=max(lines, 1))
        async with self._turns.turn():
            read, refused = await self._read_lines(body, caller, trace)
        problems = await self._accept([accepted for _, accepted in read])
        for (number, _), problem in zip(read, problems, strict=True):
            if problem is not None:
                refused.add(number, problem)
        return problems.count(None), refused

    async def _read_lines(
        self, body: bytes, caller: Caller, trace: str | None
    ) -> tuple[list[tuple[int, tuple[ContentSubmitted, Message]]], Refusals]:
        """The lines that keep the contract, with their numbers, and the others."""
        read: list[tuple[int, tuple[ContentSubmitted, Message]]] = []
        refused, breath = Refusals(), Breath()
        for number, line in enumerate(body.split(b"\n"), 1):
            if line.strip():
                try:
                    read.append((number, self._read_own(line, caller, trace)))
                except InvalidInput as error:
                    refused.add(number, error)
                await breath.pause_if_due()
        return read, refused

    async def withdraw(
        self, source: str, content_id: str, reason: str | None, caller: Caller, trace: str | None = None
    ) -> AcceptedWithdrawal:
        """Accept a withdrawal of all that is known of this content now; it is remembered where nothing is.

        Raises:
            Forbidden: the caller may not send for this source.
        """
        now = self._clock.now()
        event = ContentWithdrawn(source=source, content_id=content_id, withdrawn_at=now, reason=reason)
        caller.ensure_source(source)
        async with self._transactions.begin() as work:
            accepted = await promise_withdrawal(work.connection, source, content_id, now)
            event = event.model_copy(update={"withdrawn_at": accepted.withdrawn_at})
            work.forward(self._message(event, trace))
        self._metrics.accepted.inc()
        return accepted

    async def standing(self, source: str, content_id: str, caller: Caller) -> list[tuple[int, str]]:
        """Where each revision that this router knows stands: accepted, routed, superseded or withdrawn.

        Raises:
            Forbidden: the caller may not send for this source.
            NotFound: nothing of it was accepted.
        """
        caller.ensure_source(source)
        found = await standing(self._transactions.database.pool, source, content_id)
        if not found:
            raise NotFound(f"nothing of {source}/{content_id} was accepted here")
        return [(revision, route if route in UNROUTED else "routed") for revision, route in found]

    def _read_own(self, line: bytes, caller: Caller, trace: str | None) -> tuple[ContentSubmitted, Message]:
        content, message = self._read(line, trace)
        try:
            caller.ensure_source(content.source)
        except Forbidden as error:
            self._metrics.refused.labels("forbidden").inc()
            raise InvalidInput([FieldProblem("source", str(error))], reason="forbidden") from error
        return content, message

    def _read(self, body: bytes, trace: str | None) -> tuple[ContentSubmitted, Message]:
        try:
            content = parse(ContentSubmitted, body)
            check_time(content, self._clock.now(), self._ahead)
            message = self._message(content, trace)
            refuse_large(message.value)
        except InvalidInput as error:
            self._metrics.refused.labels(error.reason).inc()
            raise
        return content, message

    def _message(self, event: Event, trace: str | None) -> Message:
        return encode(event, "router-http", self._clock, trace)

    async def _accept(self, read: Sequence[tuple[ContentSubmitted, Message]]) -> list[InvalidInput | None]:
        """Publish what is accepted, in one transaction; returns the problem of each of the others, in order."""
        if not read:
            return []
        async with self._transactions.begin() as work:
            problems = await promise(work.connection, [content for content, _ in read])
            accepted = [message for (_, message), problem in zip(read, problems, strict=True) if problem is None]
            for message in accepted:
                work.forward(message)
        for problem in filter(None, problems):
            self._metrics.refused.labels(problem.reason).inc()
        self._metrics.accepted.inc(len(accepted))
        return problems
