"""The loop that every service runs: read a batch → pure functions → one transaction.

It retries errors that pass by waiting (`TRANSIENT`), with backoff. If a batch fails for another reason, it handles the
batch record by record and sets the bad ones aside as dead letters; when too many fail in a row, the fault is not theirs
and the loop stops.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from secondlook.common.backoff import Backoff
from secondlook.common.bus import Batch, Consumer, Record, Span
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import Event
from secondlook.common.errors import Fenced, InvalidInput, Stalled, TooManyFailures
from secondlook.common.postgres import TRANSIENT
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork

WATCH_SECONDS = 5.0
MAX_FAILURES_IN_A_ROW = 50

log = structlog.get_logger()

Plan = TypeVar("Plan")
Done = TypeVar("Done")


class Item(NamedTuple):
    """A record and the event in it."""

    record: Record
    event: Event


class Handler(Protocol[Plan, Done]):
    """What a service does with a batch."""

    async def prepare(self, items: Sequence[Item]) -> Plan:
        """Decide, without writing anything. May be called again for the same items."""

    async def apply(self, work: UnitOfWork, plan: Plan) -> Done:
        """Write the effects of the plan; returns a summary. Bad items go to `work.dead_letter`.

        May raise InvalidInput instead: nothing of the batch is written, its records are handled one by one, and those
        for which it is raised again become dead letters.
        """

    def committed(self, done: Done) -> None:
        """The transaction is committed: count what `apply` did in it. Called once a commit."""


class StreamObserver(Protocol):
    """Hears from the loop, for metrics and readiness."""

    def batch_done(self, records: int, dead_letters: int) -> None: ...

    def fenced(self) -> None:
        """Another owner took a partition; the batch in work was rolled back and dropped."""

    def lag(self, records: int) -> None:
        """So many records of the held partitions have not taken effect yet."""

    def waiting(self, reason: str | None) -> None:
        """The loop waits for something to come back (`reason`), or works again (None)."""


class Stream(Generic[Plan, Done]):
    """Runs a handler over a consumer: one task that works, and one that watches it.

    While a batch is written, the next one is fetched and prepared; at most two are in work, and take effect in order.
    """

    def __init__(
        self,
        group: str,
        consumer: Consumer,
        transactions: Transactions,
        handler: Handler[Plan, Done],
        observer: StreamObserver,
        *,
        max_records: int = 256,
    ) -> None:
        self._group, self._consumer, self._transactions = group, consumer, transactions
        self._handler, self._observer, self._max_records = handler, observer, max_records
        self._failures = 0
        self._writing: asyncio.Task[None] | None = None
        self._unfinished: Batch | None = None
        self._backoff = Backoff()
        self._moved_at = time.monotonic()

    async def run(self) -> None:
        """Run until cancelled. A batch in work is finished or rolled back, never half done.

        Raises:
            PositionLost, TooManyFailures: to continue would lose or misplace records.
        """
        try:
            while True:
                try:
                    await self._step()
                except Fenced as error:
                    log.warning("fenced", group=self._group, detail=str(error))
                    self._observer.fenced()
                    await self._consumer.fenced()
                except TRANSIENT as error:
                    await self._wait_for(error)
        finally:
            if self._writing is not None:
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
            await self._consumer.close()

    async def watch(self, seconds: float) -> None:
        """Report the lag, until cancelled.

        Raises:
            Stalled: records wait, none took effect for `seconds`, and the loop is not waiting for a server.
        """
        while True:
            await asyncio.sleep(min(WATCH_SECONDS, seconds / 4))
            try:
                lag = await self._consumer.lag()
            except TRANSIENT:
                continue  # the loop meets it too, and reports it
            self._observer.lag(lag)
            if lag == 0 or self._backoff.failing:
                self._moved_at = time.monotonic()
            elif time.monotonic() - self._moved_at > seconds:
                raise Stalled(f"{self._group} has {lag} unread records and has not moved for {seconds:g} s")

    async def _wait_for(self, error: Exception) -> None:
        seconds = self._backoff.wait()
        log.warning("waiting", group=self._group, error=repr(error), seconds=round(seconds, 1))
        self._observer.waiting(f"{type(error).__name__}: {error}")
        await asyncio.sleep(seconds)

    def _works(self) -> None:
        self._observer.waiting(None)
        self._backoff.reset()
        self._moved_at = time.monotonic()

    async def _step(self) -> None:
        # Only a short wait beside a write, whose result is looked at afterwards.
        batch = await self._consumer.fetch(self._max_records, 1.0 if self._writing is None else 0.05)
        try:
            prepared = await self._prepare_or_not(batch) if batch is not None else None
            writing, self._writing = self._writing, None
            if writing is not None:
                await writing
        except BaseException:
            for unfinished in (self._unfinished, batch):
                if unfinished is not None:
                    await self._consumer.retry(unfinished)
            self._unfinished = None
            raise
        if batch is None:
            self._works()
        else:
            self._writing = asyncio.create_task(self._take_effect(batch, prepared))

    async def _prepare_or_not(self, batch: Batch) -> "_Prepared[Plan] | None":
        """None if the batch as a whole fails: then its records are handled one by one."""
        try:
            return await self._prepare(batch)
        except TRANSIENT:
            raise
        except Exception:
            log.exception("batch failed, handling it record by record", group=self._group)
            return None

    async def _take_effect(self, batch: Batch, prepared: "_Prepared[Plan] | None") -> None:
        """Runs beside the next fetch; leaves in `_unfinished` what has not taken effect."""
        try:
            if prepared is not None:
                await self._write(prepared)
                self._failures = 0
                return
        except (*TRANSIENT, Fenced):
            self._unfinished = batch
            raise
        except InvalidInput as problem:
            log.info("a record is refused, handling the batch record by record", group=self._group, why=str(problem))
        except Exception:
            log.exception("batch failed, handling it record by record", group=self._group)
        await self._one_by_one(batch)

    async def _prepare(self, batch: Batch, failure: InvalidInput | None = None) -> "_Prepared[Plan]":
        items: list[Item] = []
        refused: list[tuple[Record, InvalidInput]] = []
        for record in batch.records:
            try:
                if failure is not None:
                    raise failure
                items.append(Item(record, decode(record)))
            except InvalidInput as problem:
                refused.append((record, problem))
        return _Prepared(batch, await self._handler.prepare(items), refused)

    async def _write(self, prepared: "_Prepared[Plan]") -> None:
        batch, plan = prepared.batch, prepared.plan
        async with self._transactions.begin(self._group, batch) as work:
            for record, reason in prepared.refused:
                await work.dead_letter(record, reason)
            done = await self._handler.apply(work, plan)
        self._handler.committed(done)
        self._observer.batch_done(len(batch.records), work.dead_letters)
        await self._consumer.done(batch)
        self._works()

    async def _one_by_one(self, batch: Batch) -> None:
        singles = split(batch)
        for number, one in enumerate(singles):
            try:
                await self._handle_or_set_aside(one)
            except (*TRANSIENT, Fenced):
                self._unfinished = join(singles[number:])
                raise

    async def _handle_or_set_aside(self, one: Batch) -> None:
        try:
            await self._write(await self._prepare(one))
            self._failures = 0
        except (*TRANSIENT, Fenced):
            raise
        except InvalidInput as problem:
            await self._write(await self._prepare(one, problem))
        except Exception as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES_IN_A_ROW:
                raise TooManyFailures(f"{self._failures} records in a row failed, last with {error!r}") from error
            record = one.records[0]
            log.exception("record failed", topic=record.topic, key=record.key, offset=record.offset)
            await self._write(await self._prepare(one, InvalidInput(repr(error), reason="failed")))


@dataclass(frozen=True, slots=True)
class _Prepared(Generic[Plan]):
    batch: Batch
    plan: Plan
    refused: list[tuple[Record, InvalidInput]]


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
    """The batch that consecutive batches are parts of."""
    spans: dict[tuple[str, int], Span] = {}
    for span in (span for batch in batches for span in batch.spans):
        first = spans.get((span.topic, span.partition), span)
        spans[span.topic, span.partition] = replace(first, end=span.end)
    return Batch([record for batch in batches for record in batch.records], list(spans.values()))
