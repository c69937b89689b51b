"""The HTTP entrance: checks content like the handler, then publishes it to the bus. It answers after the commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from secondlook.common.bus import Message
from secondlook.common.bus.wire import encode, parse, refuse_large
from secondlook.common.clock import Clock
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, Event
from secondlook.common.errors import InvalidInput, PayloadTooLarge
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.admission import check_time
from secondlook.router.metrics import RouterMetrics

MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line of a batch that was not accepted. Lines count from 1."""

    line: int
    error: InvalidInput


class Submissions:
    """Accepts content. When a call returns, the items that it accepted are on the bus, and no crash loses them."""

    def __init__(self, transactions: Transactions, clock: Clock, metrics: RouterMetrics, ahead: timedelta) -> None:
        self._transactions, self._clock, self._metrics, self._ahead = transactions, clock, metrics, ahead

    async def submit(self, body: bytes, trace: str | None = None) -> ContentSubmitted:
        """Accept one revision.

        Raises:
            InvalidInput: the body breaks the contract; names each field.
        """
        content, message = self._read(body, trace)
        await self._publish([message])
        return content

    async def submit_lines(self, body: bytes, trace: str | None = None) -> tuple[int, list[LineProblem]]:
        """Accept NDJSON. Good lines are accepted in one transaction, bad ones are named; empty lines do not count.

        Raises:
            PayloadTooLarge: more than MAX_LINES lines; nothing is accepted.
        """
        accepted: list[Message] = []
        problems: list[LineProblem] = []
        if body.count(b"\n") > MAX_LINES:
            raise PayloadTooLarge(f"more than {MAX_LINES} lines")
        for number, line in enumerate(body.split(b"\n"), 1):
            if line.strip():
                try:
                    accepted.append(self._read(line, trace)[1])
                except InvalidInput as error:
                    problems.append(LineProblem(number, error))
        await self._publish(accepted)
        return len(accepted), problems

    async def withdraw(self, source: str, content_id: str, reason: str | None, trace: str | None = None) -> None:
        """Accept a withdrawal; for content that nobody knows it changes nothing."""
        event = ContentWithdrawn(source=source, content_id=content_id, withdrawn_at=self._clock.now(), reason=reason)
        await self._publish([self._message(event, trace)])

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

    async def _publish(self, messages: Sequence[Message]) -> None:
        if messages:
            async with self._transactions.begin() as work:
                for message in messages:
                    work.forward(message)
            self._metrics.accepted.inc(len(messages))
