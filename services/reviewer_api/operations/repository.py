"""Operations in Postgres."""

from datetime import datetime, timedelta
from uuid import UUID

from secondlook.common.contract.operations import OperationAsked, OperationDone
from secondlook.common.postgres import Connection, Queryable, Row

KEPT = timedelta(days=30)
FORGET = "DELETE FROM operation WHERE asked_at < $1"
ASK = "INSERT INTO operation (operation_id, what, asked_by, asked_at) VALUES ($1, $2, $3, $4)"
# A record can repeat; the first answer counts.
ANSWER = """
UPDATE operation SET done_at = $2, ok = $3, detail = $4, simulated = $5 WHERE operation_id = $1 AND done_at IS NULL
"""
ONE = """
SELECT operation_id, what, asked_by, asked_at, done_at, ok, detail, simulated::text FROM operation
WHERE operation_id = $1
"""


async def ask(connection: Connection, asked: OperationAsked, now: datetime) -> None:
    """Keep what was asked; forget what is older than KEPT."""
    await connection.execute(FORGET, now - KEPT)
    await connection.execute(ASK, asked.operation_id, asked.what, asked.asked_by, asked.asked_at)


async def answer(connection: Queryable, done: OperationDone) -> None:
    """Keep what came of it. An operation that is not known here stays unknown."""
    simulated = done.simulated.model_dump_json() if done.simulated else None
    await connection.execute(ANSWER, done.operation_id, done.done_at, done.ok, done.detail, simulated)


async def one(connection: Queryable, operation_id: UUID) -> Row | None:
    """An operation; None if there is no such."""
    return await connection.fetchrow(ONE, operation_id)
