"""Does what people ask for over the bus, once."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from uuid import UUID

import structlog

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.operations import STALE_AFTER, OperationAsked, OperationDone, Simulated, What
from secondlook.common.errors import InvalidInput, SecondLookError
from secondlook.common.postgres import TRANSIENT, Connection
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork

ANSWERED = "SELECT EXISTS (SELECT FROM answered_operation WHERE operation_id = $1)"
ANSWER = """
INSERT INTO answered_operation (operation_id, answered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true
"""
FORGET = "DELETE FROM answered_operation WHERE answered_at < $1"

# Prepares outside of a transaction, and returns what to do in one: words for a person, and what was counted.
Act = Callable[[UnitOfWork], Awaitable[tuple[str, Simulated | None]]]
Prepare = Callable[[OperationAsked], Awaitable[Act]]

log = structlog.get_logger()


class Operations:
    """Follows `operation.asked` and does what is `mine`.

    Reading only keeps the newest request in memory; `step` does it, so that reading goes on while the database is away.
    Of several processes of a service one answers: the answer and what was done are one transaction.
    """

    def __init__(self, transactions: Transactions, mine: Collection[What], prepare: Prepare) -> None:
        self._transactions, self._mine, self._prepare = transactions, mine, prepare
        self._asked: OperationAsked | None = None

    async def on_record(self, record: Record) -> None:
        """Take a record of `operation.asked`. One that this version cannot read changes nothing."""
        try:
            event = decode(record)
        except InvalidInput as error:
            log.error("operation refused", offset=record.offset, error=str(error))
            return
        if isinstance(event, OperationAsked) and event.what in self._mine:
            self._asked = event

    async def step(self) -> OperationDone | None:
        """Do what was asked for last, if nobody has; returns the answer that was published."""
        asked = self._asked
        if asked is None:
            return None
        done = None
        async with self._transactions.database.pool.acquire() as connection:
            answered = await connection.fetchval(ANSWERED, asked.operation_id)
        if not answered:
            done = await self._do(asked)
        if self._asked is asked:
            self._asked = None
        return done

    async def _do(self, asked: OperationAsked) -> OperationDone | None:
        now = self._transactions.clock.now()
        act: Act | None = None
        refusal = "it was asked for too long ago: ask again"
        if abs(now - asked.asked_at) < STALE_AFTER:
            try:
                act = await self._prepare(asked)
            except TRANSIENT:
                raise
            except SecondLookError as error:
                refusal = str(error)
        async with self._transactions.begin() as unit:
            if not await _claim(unit.connection, asked.operation_id, now):
                return None
            ok, detail, simulated = False, refusal, None
            if act is not None:
                try:
                    async with unit.connection.transaction():
                        detail, simulated = await act(unit)
                    ok = True
                except TRANSIENT:
                    raise
                except SecondLookError as error:
                    detail = str(error)
            done = OperationDone(
                operation_id=asked.operation_id, what=asked.what, ok=ok, detail=detail[:10_000], simulated=simulated,
                done_at=now,
            )  # fmt: skip
            unit.publish(done)
        log.info("operation done", what=asked.what, by=asked.asked_by, ok=ok, detail=detail)
        return done


async def _claim(connection: Connection, operation_id: UUID, now: datetime) -> bool:
    await connection.execute(FORGET, now - 100 * STALE_AFTER)
    return bool(await connection.fetchval(ANSWER, operation_id, now))
