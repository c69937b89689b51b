"""Reports over HTTP: accepted with the transaction that publishes them."""

from typing import NamedTuple

from prometheus_client import Counter
from pydantic import ValidationError

from secondlook.common.bus.wire import encode, invalid
from secondlook.common.clock import Clock
from secondlook.common.contract.reports import ContentReported
from secondlook.common.service.permissions import Caller
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.ingest.pressure import Pressure
from secondlook.router.reports.book import KeptReport, ensure_same

ACCEPT = """
INSERT INTO report (source, report_id, content_id, reporter, reason, note, reported_at, received_at, counted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, false) ON CONFLICT DO NOTHING RETURNING true
"""
FIND = """
SELECT content_id, reporter, reason, note, reported_at, received_at FROM report WHERE (source, report_id) = ($1, $2)
"""
KNOWN = "SELECT EXISTS (SELECT FROM revision WHERE (source, content_id) = ($1, $2))"


class AcceptedComplaint(NamedTuple):
    """`known`: whether any revision of the content is. `repeated`: the report was accepted before."""

    event: ContentReported
    known: bool
    repeated: bool


class Reports:
    """Accepts reports. When a call returns, the report is on the bus, and no crash loses it."""

    def __init__(
        self, transactions: Transactions, clock: Clock, accepted: Counter, pressure: Pressure | None = None
    ) -> None:
        self._transactions, self._clock, self._accepted = transactions, clock, accepted
        self._pressure = pressure or Pressure()

    async def accept(
        self, at: tuple[str, str], said: dict[str, str | None], caller: Caller, trace: str | None = None
    ) -> AcceptedComplaint:
        """Accept a report of the content `at` (source, content_id); the same one again changes nothing.

        Raises:
            InvalidInput: a field breaks the contract.
            Forbidden: the caller may not send for this source.
            TooFast: the router is behind, or the caller sends faster than allowed.
            ReportReused: the id is known with another content, reporter, reason or note.
        """
        self._pressure.admit(caller)
        now = self._clock.now()
        try:
            event = ContentReported.model_validate({**said, "source": at[0], "content_id": at[1], "reported_at": now})
        except ValidationError as error:
            raise invalid(error) from error
        caller.ensure_source(event.source)
        async with self._transactions.begin() as work:
            known: bool = await work.connection.fetchval(KNOWN, *at)
            row = (event.source, event.report_id, event.content_id, event.reporter, event.reason, event.note, now)
            fresh: bool | None = await work.connection.fetchval(ACCEPT, *row)
            if fresh:
                work.forward(encode(event, "router-http", self._clock, trace))
            elif (found := await work.connection.fetchrow(FIND, event.source, event.report_id)) is not None:
                ensure_same(event, KeptReport(*found))
        self._accepted.inc()
        return AcceptedComplaint(event, known, not fresh)
