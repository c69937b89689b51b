"""Requests to train, and how they ended. At most one is queued: a second request joins it.

queued ──start──▶ running ──finish──▶ promoted | kept | refused | failed
  ▲                  │ └─cut off while another one is queued──▶ failed
  └─────cut off──────┘
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from secondlook.common.errors import Conflict
from secondlook.common.postgres import Database, Row
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.model.methods import Mode
from secondlook.trainer.schedule import RunReason

COLUMNS = """run_id, reason, state, requested_at, started_at, finished_at, policy_version,
             label_mark, detail, mode, starts, bundle_version, asked_mark"""
REQUEST = """
INSERT INTO run (run_id, reason, state, requested_at, mode) VALUES ($1, $2, 'queued', $3, $4)
ON CONFLICT (state) WHERE state IN ('queued', 'running') DO UPDATE SET
    reason = CASE run.reason WHEN 'certify' THEN excluded.reason ELSE run.reason END,
    mode = coalesce(excluded.mode, run.mode), label_mark = 0
RETURNING run_id
"""
QUEUED = "SELECT run_id FROM run WHERE state = 'queued'"
# A run that was cut off sees the labels that it saw before, so that fine-tuning can resume. What people were asked
# about since then is new to the model all the same.
START = """
UPDATE run SET state = 'running', started_at = $2, policy_version = $3, starts = starts + 1,
               label_mark = greatest(label_mark, (SELECT max(received) FROM label WHERE run.label_mark = 0)),
               asked_mark = (SELECT coalesce(max(number), 0) FROM asked)
WHERE run_id = $1 AND state = 'queued'
"""
PROGRESS = "UPDATE run SET detail = $2 WHERE run_id = $1 AND state = 'running'"
ANNOUNCE = "UPDATE run SET bundle_version = $2, bundle_created_at = $3 WHERE run_id = $1 AND state = 'running'"
FINISH = """
UPDATE run SET state = $2, detail = $3, finished_at = $4
WHERE run_id = $1 AND state = 'running' AND ($5::text IS NULL OR bundle_version = $5)
"""
CUT_OFF = "SELECT EXISTS (SELECT 1 FROM run WHERE state = 'running')"
RESET = """
UPDATE run SET state = 'queued', started_at = NULL
WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM run WHERE state = 'queued')
"""
DROP = """
UPDATE run SET state = 'failed', finished_at = $1, detail = 'cut off; the run that was queued after it does its work'
WHERE state = 'running'
"""
STRAYS = """
SELECT run_id, bundle_version, bundle_created_at AS created_at FROM run
WHERE state <> 'running' AND bundle_version IS NOT NULL
  AND NOT EXISTS (SELECT FROM bundle b WHERE b.bundle_version = run.bundle_version)
"""
REMOVED = "UPDATE run SET bundle_version = NULL, bundle_created_at = NULL WHERE run_id = $1"
LATEST = f"SELECT {COLUMNS} FROM run ORDER BY requested_at DESC LIMIT $1"  # noqa: S608
LATEST_TRAINING = f"SELECT {COLUMNS} FROM run WHERE reason <> 'certify' ORDER BY requested_at DESC LIMIT 1"  # noqa: S608
FIND = f"SELECT {COLUMNS} FROM run WHERE run_id = $1"  # noqa: S608
NEW_LABELS = "SELECT count(*) FROM label WHERE received > $1"


class RunState(StrEnum):
    QUEUED = "queued"  # → running
    RUNNING = "running"  # → promoted, kept, refused, failed; → queued if the trainer stopped meanwhile
    PROMOTED = "promoted"  # final: the gate let the bundle through
    KEPT = "kept"  # final: the gate kept the active bundle
    REFUSED = "refused"  # final: the labels do not allow a model
    FAILED = "failed"  # final: the process died, or lost its place to the run that was queued after it


ENDED: Final = frozenset({RunState.PROMOTED, RunState.KEPT, RunState.REFUSED, RunState.FAILED})
TRANSITIONS: Final[Mapping[RunState, frozenset[RunState]]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING}),
    RunState.RUNNING: ENDED | {RunState.QUEUED},
    **dict.fromkeys(ENDED, frozenset()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One request to train."""

    run_id: UUID
    reason: RunReason
    state: RunState
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    policy_version: int | None
    label_mark: int
    detail: str
    mode: Mode | None
    starts: int
    bundle_version: str | None = None  # that it announced or brought
    asked_mark: int = 0  # the newest item that people had been asked about when it started


@dataclass(frozen=True, slots=True)
class Stray:
    """A bundle that a run may have stored, but that it did not bring to its end."""

    run_id: UUID
    bundle_version: str
    created_at: datetime


class Runs:
    """The trainer's runs."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def request(self, reason: RunReason, now: datetime, mode: Mode | None = None) -> UUID:
        """Ask for a run on the labels that there are when it starts; joins the queued run, if there is one.

        A queued run that was only to certify becomes one that trains, which certifies too. `mode` holds for that run;
        None leaves it to the trainer's settings.
        """
        run_id: UUID = await self._pool.fetchval(REQUEST, uuid4(), reason, now, mode)
        return run_id

    async def queued(self) -> UUID | None:
        """The run to carry out next."""
        run_id: UUID | None = await self._pool.fetchval(QUEUED)
        return run_id

    async def start(self, run_id: UUID, policy_version: int, now: datetime) -> None:
        await self._pool.execute(START, run_id, now, policy_version)

    async def progress(self, run_id: UUID, detail: str) -> None:
        await self._pool.execute(PROGRESS, run_id, detail)

    async def announce(self, run_id: UUID, bundle_version: str, created_at: datetime) -> None:
        """Write down the bundle that the run is about to store."""
        await self._pool.execute(ANNOUNCE, run_id, bundle_version, created_at)

    async def finish(
        self, work: UnitOfWork, run_id: UUID, state: RunState, detail: str, bundle_version: str | None = None
    ) -> None:
        """End a run, in the transaction that holds its bundle if it brought one.

        Raises:
            Conflict: the run is no longer running, or its bundle counts as a stray; roll back the transaction.
        """
        ended = await work.connection.execute(FINISH, run_id, state, detail, work.clock.now(), bundle_version)
        if ended != "UPDATE 1":
            raise Conflict("run_ended", f"run {run_id} was ended by another trainer; its result is dropped")

    async def reset(self, now: datetime) -> None:
        """Queue a run again that was cut off. Call it only when no run is under way."""
        if await self._pool.fetchval(CUT_OFF):
            await self._pool.execute(RESET)
            await self._pool.execute(DROP, now)

    async def strays(self) -> list[Stray]:
        """Bundles that runs may have left in the store, having ended otherwise or been cut off."""
        return [Stray(**dict(row)) for row in await self._pool.fetch(STRAYS)]

    async def removed(self, stray: Stray) -> None:
        """Note that it is gone from the store."""
        await self._pool.execute(REMOVED, stray.run_id)

    async def latest(self, limit: int = 1) -> list[Run]:
        """The newest runs."""
        return [_run(row) for row in await self._pool.fetch(LATEST, limit)]

    async def latest_training(self) -> Run | None:
        """The newest run that was asked to train a model."""
        row = await self._pool.fetchrow(LATEST_TRAINING)
        return _run(row) if row else None

    async def get(self, run_id: UUID) -> Run | None:
        row = await self._pool.fetchrow(FIND, run_id)
        return _run(row) if row else None

    async def new_labels(self, mark: int) -> int:
        """Labels that came after `mark`."""
        count: int = await self._pool.fetchval(NEW_LABELS, mark)
        return count


def _run(row: Row) -> Run:
    return Run(**{**dict(row), "state": RunState(row["state"])})
