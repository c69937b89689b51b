"""The loop that every service runs: read a batch → pure functions → one transaction.

What can pass by waiting is retried with backoff. A record that fails for another reason is found by handling the
batch record by record, and set aside as a dead letter; when record after record fails, the fault is not theirs and
the loop stops.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import structlog

from services.common.bus import Batch, Consumer, Record, Span
from services.common.errors import Fenced, InvalidInput, TooManyFailures
from services.common.events import Event
from services.common.postgres import TRANSIENT
from services.common.unit_of_work import Transactions, UnitOfWork
from services.common.wire import decode

MAX_BACKOFF_SECONDS = 10.0
MAX_FAILURES_IN_A_ROW = 50

log = structlog.get_logger()

Plan = TypeVar("Plan")


@dataclass(frozen=True, slots=True)
class Item:
    """A record and the event in it."""

    record: Record
    event: Event


class Handler(Protocol[Plan]):
    """What a service does with a batch."""

    async def prepare(self, items: Sequence[Item]) -> Plan:
        """Decide, without writing anything. May be called again for the same items."""

    async def apply(self, work: UnitOfWork, plan: Plan) -> None:
        """Write the effects of the plan. Bad items go to `work.dead_letter`."""

    def committed(self, plan: Plan) -> None:
        """The plan's transaction is committed: count it. Called once a commit."""


class StreamObserver(Protocol):
    """What the loop reports: metrics and readiness."""

    def batch_done(self, records: int, dead_letters: int) -> None: ...

    def waiting(self, reason: str | None) -> None:
        """The loop waits for something to come back (`reason`), or goes on (None)."""


class Stream(Generic[Plan]):
    """Runs a handler over a consumer. One instance, one task."""

    def __init__(
        self,
        group: str,
        consumer: Consumer,
        transactions: Transactions,
        handler: Handler[Plan],
        observer: StreamObserver,
        *,
        max_records: int = 256,
    ) -> None:
        self._group, self._consumer, self._transactions = group, consumer, transactions
        self._handler, self._observer, self._max_records = handler, observer, max_records
        self._failures = 0

    async def run(self) -> None:
        """Run until cancelled. A batch in work is finished or rolled back, never half done.

        Raises:
            PositionLost, TooManyFailures: going on would lose or misplace records.
        """
        backoff = 0.1
        try:
            while True:
                try:
                    await self._step()
                    self._observer.waiting(None)
                    backoff = 0.1
                except Fenced as error:
                    log.warning("fenced", group=self._group, detail=str(error))
                    await self._consumer.fenced()
                except TRANSIENT as error:
                    log.warning("waiting", group=self._group, error=repr(error), seconds=round(backoff, 1))
                    self._observer.waiting(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(backoff * (0.5 + random.random()))  # noqa: S311
                    backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)
        finally:
            await self._consumer.close()

    async def _step(self) -> None:
        batch = await self._consumer.fetch(self._max_records, wait=1.0)
        if batch is None:
            return
        try:
            await self._handle(batch)
            self._failures = 0
        except (*TRANSIENT, Fenced, asyncio.CancelledError):
            await self._consumer.retry(batch)
            raise
        except Exception:
            log.exception("batch failed, handling it record by record", group=self._group)
            await self._one_by_one(batch)

    async def _handle(self, batch: Batch, failure: InvalidInput | None = None) -> None:
        items: list[Item] = []
        refused: list[tuple[Record, InvalidInput]] = []
        for record in batch.records:
            try:
                if failure is not None:
                    raise failure
                items.append(Item(record, decode(record)))
            except InvalidInput as problem:
                refused.append((record, problem))
        plan = await self._handler.prepare(items)
        async with self._transactions.begin(self._group, batch) as work:
            for record, reason in refused:
                await work.dead_letter(record, reason)
            await self._handler.apply(work, plan)
        self._handler.committed(plan)
        self._observer.batch_done(len(batch.records), work.dead_letters)
        await self._consumer.done(batch)

    async def _one_by_one(self, batch: Batch) -> None:
        singles = split(batch)
        for number, one in enumerate(singles):
            try:
                await self._handle_or_set_aside(one)
            except (*TRANSIENT, Fenced, asyncio.CancelledError):
                await self._consumer.retry(join(singles[number:]))
                raise

    async def _handle_or_set_aside(self, one: Batch) -> None:
        try:
            await self._handle(one)
            self._failures = 0
        except (*TRANSIENT, Fenced):
            raise
        except Exception as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES_IN_A_ROW:
                raise TooManyFailures(f"{self._failures} records in a row failed, last with {error!r}") from error
            record = one.records[0]
            log.exception("record failed", topic=record.topic, key=record.key, offset=record.offset)
            await self._handle(one, InvalidInput(repr(error), reason="failed"))


def split(batch: Batch) -> list[Batch]:
    """The batch record by record, in its order; the spans join up, also where a log has gaps between offsets."""
    singles: list[Batch] = []
    for span in batch.spans:
        start = span.start
        records = [r for r in batch.records if (r.topic, r.partition) == (span.topic, span.partition)]
        for record in records:
            end = span.end if record is records[-1] else record.offset + 1
            singles.append(Batch([record], [replace(span, start=start, end=end)]))
            start = end
    return singles


def join(batches: Sequence[Batch]) -> Batch:
    """The batch that these, which follow each other, are parts of."""
    spans: dict[tuple[str, int], Span] = {}
    for span in (span for batch in batches for span in batch.spans):
        first = spans.get((span.topic, span.partition), span)
        spans[span.topic, span.partition] = replace(first, end=span.end)
    return Batch([record for batch in batches for record in batch.records], list(spans.values()))
