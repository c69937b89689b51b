"""Ask other services over the bus, and keep their answers."""

from uuid import UUID, uuid4

import structlog

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.operations import OperationAsked, OperationDone, Simulated, What
from secondlook.common.contract.policy import Policy
from secondlook.common.errors import InvalidInput, NotFound
from secondlook.common.service.permissions import Caller
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.operations import repository
from secondlook.reviewer_api.operations.schemas import Operation

LOGGED = {"promote": "bundle.promoted", "rollback": "bundle.rolled_back"}

log = structlog.get_logger()


class OperationService:
    """A request is published in the transaction that keeps it and writes the audit log.

    Reading answers only keeps them in memory, and `store` writes them, so that reading goes on while the database is
    away.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions, self._clock = transactions, transactions.clock
        self._unstored: list[OperationDone] = []

    async def ask(
        self, what: What, caller: Caller, *, bundle_version: str | None = None, policy: Policy | None = None
    ) -> Operation:
        """Ask for it; the answer comes later."""
        now = self._clock.now()
        asked = OperationAsked(
            operation_id=uuid4(), what=what, bundle_version=bundle_version, policy=policy, asked_by=caller.subject,
            asked_at=now,
        )  # fmt: skip
        async with self._transactions.begin() as work:
            await repository.ask(work.connection, asked, now)
            if what in LOGGED:
                about = f"bundle {bundle_version}" if bundle_version else "bundle before"
                told = {"operation_id": str(asked.operation_id)}
                await append(work.connection, now, caller.subject, LOGGED[what], about, told)
            work.publish(asked)
        return await self.one(asked.operation_id)

    async def one(self, operation_id: UUID) -> Operation:
        """What came of it so far; raises NotFound."""
        row = await repository.one(self._transactions.database.pool, operation_id)
        if row is None:
            raise NotFound(f"there is no operation {operation_id}")
        simulated = Simulated.model_validate_json(row["simulated"]) if row["simulated"] else None
        return Operation(**{**row, "simulated": simulated})

    async def on_record(self, record: Record) -> None:
        """Take a record of `operation.done`. One that this version cannot read changes nothing."""
        try:
            event = decode(record)
        except InvalidInput as error:
            log.error("answer refused", offset=record.offset, error=str(error))
            return
        if isinstance(event, OperationDone):
            self._unstored.append(event)

    async def store(self) -> None:
        """Store the answers that were read."""
        while self._unstored:
            await repository.answer(self._transactions.database.pool, self._unstored[0])
            self._unstored.pop(0)
