"""Requests to train, and how they ended. At most one is queued: a second request joins it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from services.common.errors import Conflict
from services.common.postgres import Database
from services.common.unit_of_work import UnitOfWork

REQUEST = """
INSERT INTO run (run_id, reason, state, requested_at) VALUES ($1, $2, 'queued', $3)
ON CONFLICT (state) WHERE state IN ('queued', 'running') DO UPDATE SET reason = excluded.reason
WHERE run.reason = 'certify' RETURNING run_id
"""
QUEUED = "SELECT run_id FROM run WHERE state = 'queued'"
START = """
UPDATE run SET state = 'running', started_at = $2, policy_version = $3,
               label_mark = coalesce((SELECT max(received) FROM label), 0)
WHERE run_id = $1 AND state = 'queued'
"""
PROGRESS = "UPDATE run SET detail = $2 WHERE run_id = $1 AND state = 'running'"
FINISH = "UPDATE run SET state = $2, detail = $3, finished_at = $4 WHERE run_id = $1 AND state = 'running'"
CUT_OFF = "SELECT EXISTS (SELECT 1 FROM run WHERE state = 'running')"
RESET = """
UPDATE run SET state = 'queued', started_at = NULL
WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM run WHERE state = 'queued')
"""
DROP = """
UPDATE run SET state = 'failed', finished_at = $1, detail = 'cut off; the run that was queued after it does its work'
WHERE state = 'running'
"""
LATEST = """
SELECT run_id, reason, state, requested_at, started_at, finished_at, policy_version, label_mark, detail
FROM run ORDER BY requested_at DESC LIMIT $1
"""
LATEST_TRAINING = """
SELECT run_id, reason, state, requested_at, started_at, finished_at, policy_version, label_mark, detail
FROM run WHERE reason <> 'certify' ORDER BY requested_at DESC LIMIT 1
"""
FIND = """
SELECT run_id, reason, state, requested_at, started_at, finished_at, policy_version, label_mark, detail
FROM run WHERE run_id = $1
"""
NEW_LABELS = "SELECT count(*) FROM label WHERE received > $1"


@dataclass(frozen=True, slots=True)
class Run:
    """One request to train."""

    run_id: UUID
    reason: str
    state: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    policy_version: int | None
    label_mark: int
    detail: str


class Runs:
    """The trainer's runs."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def request(self, reason: str, now: datetime) -> UUID:
        """Ask for a run on what is there when it starts; returns the queued one if there is one already.

        A queued run that was only to certify becomes one that trains, which certifies too.
        """
        run_id: UUID | None = await self._pool.fetchval(REQUEST, uuid4(), reason, now)
        return run_id or await self.queued() or await self.request(reason, now)

    async def queued(self) -> UUID | None:
        """The run to carry out next."""
        run_id: UUID | None = await self._pool.fetchval(QUEUED)
        return run_id

    async def start(self, run_id: UUID, policy_version: int, now: datetime) -> None:
        await self._pool.execute(START, run_id, now, policy_version)

    async def progress(self, run_id: UUID, detail: str) -> None:
        await self._pool.execute(PROGRESS, run_id, detail)

    async def finish(self, work: UnitOfWork, run_id: UUID, state: str, detail: str) -> None:
        """End a run in the transaction that holds what it brought.

        Raises:
            Conflict: the run is no longer running; roll back what it brought.
        """
        if await work.connection.execute(FINISH, run_id, state, detail, work.clock.now()) != "UPDATE 1":
            raise Conflict("run_ended", f"run {run_id} was ended by another trainer; its result is dropped")

    async def reset(self, now: datetime) -> None:
        """Queue again what was cut off. Called when nothing runs."""
        if await self._pool.fetchval(CUT_OFF):
            await self._pool.execute(RESET)
            await self._pool.execute(DROP, now)

    async def latest(self, limit: int = 1) -> list[Run]:
        """The newest runs."""
        return [Run(**dict(row)) for row in await self._pool.fetch(LATEST, limit)]

    async def latest_training(self) -> Run | None:
        """The newest run that was to train a model."""
        row = await self._pool.fetchrow(LATEST_TRAINING)
        return Run(**dict(row)) if row else None

    async def get(self, run_id: UUID) -> Run | None:
        row: Any = await self._pool.fetchrow(FIND, run_id)
        return Run(**dict(row)) if row else None

    async def new_labels(self, mark: int) -> int:
        """Labels that came after `mark`."""
        count: int = await self._pool.fetchval(NEW_LABELS, mark)
        return count
