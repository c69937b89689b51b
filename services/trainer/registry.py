"""Which bundles there are and which one is active. Making one active and telling the routers is one transaction."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec

from services.common.errors import Conflict, NotFound
from services.common.events import BundlePublished
from services.common.postgres import Database
from services.common.unit_of_work import Transactions, UnitOfWork

COLUMNS = """bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at, promoted_at,
             removed_at"""
INSERT = """
INSERT INTO bundle (bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at)
VALUES ($1, $2, $3, 'refused', $4, $5, $6, $7, $8)
"""
LIST = f"SELECT {COLUMNS} FROM bundle ORDER BY created_at DESC"  # noqa: S608
ACTIVE = f"SELECT {COLUMNS} FROM bundle WHERE stage = 'active'"  # noqa: S608
FIND = f"SELECT {COLUMNS} FROM bundle WHERE bundle_version = $1 FOR UPDATE"  # noqa: S608
PREVIOUS = """
SELECT bundle_version FROM bundle
WHERE stage = 'retired' AND removed_at IS NULL
  AND created_at < (SELECT created_at FROM bundle WHERE stage = 'active')
ORDER BY created_at DESC LIMIT 1
"""
RETIRE = "UPDATE bundle SET stage = 'retired' WHERE stage = 'active'"
# Later than every activation before, whatever the clocks of the hosts say: routers keep the latest.
ACTIVATE = """
UPDATE bundle SET stage = 'active',
    promoted_at = greatest($2, (SELECT max(promoted_at) FROM bundle) + interval '1 microsecond')
WHERE bundle_version = $1 RETURNING promoted_at
"""
REMOVABLE = """
SELECT bundle_version, uri FROM bundle WHERE removed_at IS NULL AND (
    stage = 'refused' OR bundle_version IN (
        SELECT bundle_version FROM bundle WHERE stage = 'retired' AND removed_at IS NULL
        ORDER BY promoted_at DESC OFFSET $1))
"""
REMOVED = "UPDATE bundle SET removed_at = $2 WHERE bundle_version = $1"


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A bundle as the registry knows it."""

    bundle_version: str
    uri: str
    sha256: str
    stage: str
    policy_version: int
    labels: tuple[str, ...]
    metrics: dict[str, Any]
    reasons: tuple[str, ...]
    created_at: datetime
    promoted_at: datetime | None
    removed_at: datetime | None


class Registry:
    """The trainer's bundles. Safe to use from several processes: row locks and the one-active index decide."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database, self._transactions = database, transactions

    async def all(self) -> Sequence[BundleRow]:
        """All bundles, newest first."""
        return [_row(row) for row in await self._database.pool.fetch(LIST)]

    async def active(self) -> BundleRow | None:
        row = await self._database.pool.fetchrow(ACTIVE)
        return _row(row) if row else None

    async def add(self, work: UnitOfWork, bundle: BundleRow) -> None:
        """Add a bundle that is not active; `activate` in the same unit of work promotes it."""
        await work.connection.execute(
            INSERT, bundle.bundle_version, bundle.uri, bundle.sha256, bundle.policy_version, list(bundle.labels),
            json.dumps(bundle.metrics), list(bundle.reasons), bundle.created_at,
        )  # fmt: skip

    async def activate(self, work: UnitOfWork, bundle_version: str) -> None:
        """Make a bundle the active one and publish it.

        Raises:
            NotFound: there is no such bundle.
            Conflict: its files were removed.
        """
        found = await work.connection.fetchrow(FIND, bundle_version)
        if found is None:
            raise NotFound(f"no bundle {bundle_version!r}; `secondlook bundle list` shows them")
        bundle = _row(found)
        if bundle.removed_at is not None:
            raise Conflict("bundle_removed", f"the files of bundle {bundle_version} were removed; train a new one")
        await work.connection.execute(RETIRE)
        promoted_at = await work.connection.fetchval(ACTIVATE, bundle_version, work.clock.now())
        work.publish(
            BundlePublished(
                stage="active",
                bundle_version=bundle_version,
                uri=bundle.uri,
                sha256=bundle.sha256,
                published_at=promoted_at,
            )
        )

    async def promote(self, bundle_version: str) -> None:
        """Make a bundle active by hand, past the gate. Raises NotFound, Conflict."""
        async with self._transactions.begin() as work:
            await self.activate(work, bundle_version)

    async def rollback(self) -> str:
        """Go back to the bundle that was active before; returns its version.

        Raises:
            Conflict: there is none.
        """
        async with self._transactions.begin() as work:
            previous = await work.connection.fetchval(PREVIOUS)
            if previous is None:
                raise Conflict("no_previous_bundle", "there is no earlier bundle to go back to")
            await self.activate(work, previous)
        version: str = previous
        return version

    async def prune(self, keep: int, now: datetime) -> list[str]:
        """Remove the files of refused bundles and of all but the `keep` newest retired ones."""
        removed = []
        for row in await self._database.pool.fetch(REMOVABLE, keep):
            await asyncio.to_thread(_remove_files, row["uri"])
            await self._database.pool.execute(REMOVED, row["bundle_version"], now)
            removed.append(row["bundle_version"])
        return removed


def _remove_files(uri: str) -> None:
    files, path = fsspec.core.url_to_fs(uri)
    if files.exists(path):
        files.rm(path, recursive=True)


def _row(row: Any) -> BundleRow:
    return BundleRow(
        **{
            **dict(row),
            "labels": tuple(row["labels"]),
            "reasons": tuple(row["reasons"]),
            "metrics": json.loads(row["metrics"]),
        }
    )
