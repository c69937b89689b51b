"""The bundles and their stages. One transaction makes a bundle active and tells the routers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog

from secondlook.common.contract.events import BundlePublished
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.postgres import Database, Row
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.trainer.bundle_files import remove_model
from secondlook.trainer.settings import TrainerSettings
from secondlook.trainer.stages import BundleStage, Candidate, PublishedStage

log = structlog.get_logger()

COLUMNS = """bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at, promoted_at,
             removed_at, weights, staged_at, encoder_sha256"""
INSERT = """
INSERT INTO bundle (bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at, weights,
                    encoder_sha256)
VALUES ($1, $2, $3, 'stored', $4, $5, $6, $7, $8, $9, $10)
"""
LIST = f"SELECT {COLUMNS} FROM bundle ORDER BY created_at DESC"  # noqa: S608
AT = f"SELECT {COLUMNS} FROM bundle WHERE stage = $1"  # noqa: S608
FIND = f"SELECT {COLUMNS} FROM bundle WHERE bundle_version = $1 FOR UPDATE"  # noqa: S608
PREVIOUS = """
SELECT bundle_version FROM bundle
WHERE stage = 'retired' AND removed_at IS NULL
  AND created_at < (SELECT created_at FROM bundle WHERE stage = 'active')
ORDER BY created_at DESC LIMIT 1
"""
REFUSE = "UPDATE bundle SET stage = 'refused' WHERE bundle_version = $1 AND stage = 'stored'"
# More harm was noticed than these weights let expect, not long ago.
RAISED = """
SELECT EXISTS (SELECT FROM notice n WHERE n.weights = b.weights AND n.noticed_at > now() - interval '14 days')
"""
RAISED_OF = f"SELECT ({RAISED}) FROM bundle b WHERE bundle_version = $1"  # noqa: S608
AGAIN = """
UPDATE bundle SET promoted_at = greatest($1, promoted_at + interval '1 microsecond') WHERE stage = 'active'
RETURNING promoted_at
"""
DISMISS = "UPDATE bundle SET stage = 'refused' WHERE stage = 'waiting'"
WAIT = "UPDATE bundle SET stage = 'waiting' WHERE bundle_version = $1 AND stage = 'stored'"
HELD = "SELECT bundle_version FROM bundle WHERE stage = 'active' FOR UPDATE"
RETIRE = "UPDATE bundle SET stage = 'retired' WHERE stage = 'active'"
# A candidate that leaves its stage without becoming active is refused; one that had been active before is retired.
LEAVE = """
UPDATE bundle SET stage = CASE WHEN promoted_at IS NULL THEN 'refused' ELSE 'retired' END,
    reasons = CASE WHEN $2::text = '' THEN reasons ELSE reasons || $2::text END,
    staged_at = greatest($3, staged_at + interval '1 microsecond')
WHERE stage = $1 RETURNING bundle_version, uri, sha256, staged_at
"""
STAGE = """
UPDATE bundle SET stage = $2, share = nullif($4::float8, 0),
    staged_at = greatest($3, (SELECT max(staged_at) FROM bundle) + interval '1 microsecond')
WHERE bundle_version = $1 RETURNING staged_at
"""
# Later than every activation before, whatever the clocks of the hosts say: routers keep the latest.
ACTIVATE = """
UPDATE bundle SET stage = 'active',
    promoted_at = greatest($2, (SELECT max(promoted_at) FROM bundle) + interval '1 microsecond')
WHERE bundle_version = $1 RETURNING promoted_at
"""
REMOVABLE = """
SELECT bundle_version, uri FROM bundle WHERE removed_at IS NULL AND (
    stage IN ('stored', 'refused') OR bundle_version IN (
        SELECT bundle_version FROM bundle WHERE stage = 'retired' AND removed_at IS NULL
        ORDER BY promoted_at DESC OFFSET $1))
"""
REMOVED = "UPDATE bundle SET removed_at = $2 WHERE bundle_version = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """A bundle as the registry knows it."""

    bundle_version: str
    uri: str
    sha256: str
    stage: BundleStage = BundleStage.STORED
    policy_version: int
    labels: tuple[str, ...]
    metrics: dict[str, Any]
    reasons: tuple[str, ...]
    created_at: datetime
    promoted_at: datetime | None = None
    removed_at: datetime | None = None
    weights: str = ""  # first bundle that carried these weights; by default this one
    staged_at: datetime | None = None  # since when it is shadow or canary
    encoder_sha256: str | None = None


class Registry:
    """The trainer's bundles. Safe to use from several processes: row locks and the one-active index decide."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database, self._transactions = database, transactions

    async def all(self) -> Sequence[BundleRow]:
        """All bundles, newest first."""
        return [_row(row) for row in await self._database.pool.fetch(LIST)]

    async def active(self) -> BundleRow | None:
        return await self.at(BundleStage.ACTIVE)

    async def at(self, stage: PublishedStage | Literal[BundleStage.WAITING]) -> BundleRow | None:
        """The bundle of a stage, if there is one."""
        row = await self._database.pool.fetchrow(AT, stage)
        return _row(row) if row else None

    async def add(self, work: UnitOfWork, bundle: BundleRow) -> None:
        """Add a bundle as `stored`; `refuse`, `move_on` or `activate` in the same unit of work decides about it."""
        await work.connection.execute(
            INSERT, bundle.bundle_version, bundle.uri, bundle.sha256, bundle.policy_version, list(bundle.labels),
            bundle.metrics, list(bundle.reasons), bundle.created_at,
            bundle.weights or bundle.bundle_version, bundle.encoder_sha256,
        )  # fmt: skip

    async def refuse(self, work: UnitOfWork, bundle_version: str) -> None:
        """The gate keeps the active bundle: this one advances no further by itself."""
        await work.connection.execute(REFUSE, bundle_version)

    async def wait(self, work: UnitOfWork, bundle_version: str) -> None:
        """Let a stored bundle wait for evidence, in place of the one that did."""
        await self.dismiss(work)
        await work.connection.execute(WAIT, bundle_version)

    async def dismiss(self, work: UnitOfWork) -> None:
        """No bundle waits any more."""
        await work.connection.execute(DISMISS)

    async def move_on(
        self, work: UnitOfWork, bundle_version: str, stage: BundleStage, settings: TrainerSettings
    ) -> PublishedStage:
        """Move a bundle from `stored`, shadow or canary to the next stage; returns that.

        A stage whose time in the settings is 0 is left out. Raises NotFound, Conflict.
        """
        if stage is BundleStage.STORED and settings.shadow_minutes > 0:
            await self.stage(work, bundle_version, BundleStage.SHADOW)
            return BundleStage.SHADOW
        if stage is not BundleStage.CANARY and settings.canary_minutes > 0:
            await self.stage(work, bundle_version, BundleStage.CANARY, settings.canary_share)
            return BundleStage.CANARY
        await self.activate(work, bundle_version)
        return BundleStage.ACTIVE

    async def activate(self, work: UnitOfWork, bundle_version: str, replaces: str | None = None) -> None:
        """Make a bundle the active one and publish it; a candidate stage that it was in is cleared.

        Raises:
            NotFound: there is no such bundle.
            Conflict: its files were removed, or the active bundle is no longer the one that it `replaces`.
        """
        bundle = await self._usable(work, bundle_version)
        if replaces is not None and await work.connection.fetchval(HELD) != replaces:
            raise Conflict(
                "active_changed", f"{bundle_version} was made to replace {replaces}, which is active no more"
            )
        await self.clear(work, bundle.stage)
        await work.connection.execute(RETIRE)
        promoted_at = await work.connection.fetchval(ACTIVATE, bundle_version, work.clock.now())
        raised = await work.connection.fetchval(RAISED_OF, bundle_version)
        work.publish(_published(bundle, BundleStage.ACTIVE, promoted_at, raised=raised))

    async def publish_again(self, work: UnitOfWork) -> None:
        """Publish the active bundle once more: how much of its decisions is to be audited has changed."""
        if (active := await self.active()) is None:
            return
        at = await work.connection.fetchval(AGAIN, work.clock.now())
        raised = await work.connection.fetchval(RAISED_OF, active.bundle_version)
        work.publish(_published(active, BundleStage.ACTIVE, at, raised=raised))

    async def stage(self, work: UnitOfWork, bundle_version: str, stage: Candidate, share: float = 0.0) -> None:
        """Put a bundle beside the active one: `shadow` only scores, `canary` decides a share of the content.

        Raises:
            NotFound: there is no such bundle.
            Conflict: its files were removed, or it is active.
        """
        bundle = await self._usable(work, bundle_version)
        if bundle.stage is BundleStage.ACTIVE:
            raise Conflict("bundle_active", f"bundle {bundle_version} is active")
        for occupied in dict.fromkeys((stage, bundle.stage)):
            await self.clear(work, occupied)
        staged_at = await work.connection.fetchval(STAGE, bundle_version, stage, work.clock.now(), share)
        work.publish(_published(bundle, stage, staged_at, share))

    async def clear(self, work: UnitOfWork, stage: BundleStage, reason: str = "") -> str | None:
        """Take the bundle of a candidate stage out of it; returns its version, None if no candidate was there."""
        if stage is not BundleStage.SHADOW and stage is not BundleStage.CANARY:
            return None
        left = await work.connection.fetchrow(LEAVE, stage, reason, work.clock.now())
        if left is None:
            return None
        work.publish(
            BundlePublished(
                stage=stage.value, bundle_version=left["bundle_version"], uri=left["uri"],
                sha256=left["sha256"], published_at=left["staged_at"], in_force=False,
            )
        )  # fmt: skip
        version: str = left["bundle_version"]
        return version

    async def _usable(self, work: UnitOfWork, bundle_version: str) -> BundleRow:
        found = await work.connection.fetchrow(FIND, bundle_version)
        if found is None:
            raise NotFound(f"no bundle {bundle_version!r}; `secondlook bundle list` shows them")
        bundle = _row(found)
        if bundle.removed_at is not None:
            raise Conflict("bundle_removed", f"the files of bundle {bundle_version} were removed; train a new one")
        return bundle

    async def promote(self, bundle_version: str, stage: BundleStage = BundleStage.ACTIVE, share: float = 0.0) -> None:
        """Put a bundle into shadow, canary or active by hand, past the gate. Raises NotFound, Conflict."""
        async with self._transactions.begin() as work:
            if stage is BundleStage.ACTIVE:
                await self.activate(work, bundle_version)
            elif stage is BundleStage.SHADOW or stage is BundleStage.CANARY:
                await self.stage(work, bundle_version, stage, share)
            else:
                raise ValueError(f"no bundle is made {stage} by hand")

    async def step_back(self, stage: BundleStage) -> str:
        """Clear a candidate stage by hand; returns the version that was there. Raises Conflict if there was none."""
        async with self._transactions.begin() as work:
            version = await self.clear(work, stage, "cleared by hand")
        if version is None:
            raise Conflict("stage_empty", f"no bundle is {stage}")
        return version

    async def previous(self) -> BundleRow | None:
        """The bundle that a rollback would make active."""
        version = await self._database.pool.fetchval(PREVIOUS)
        return next((row for row in await self.all() if row.bundle_version == version), None)

    async def rollback(self) -> str:
        """Go back to the bundle that was active before; returns its version.

        Raises:
            Conflict: there is none.
        """
        async with self._transactions.begin() as work:
            return await self.go_back(work)

    async def go_back(self, work: UnitOfWork) -> str:
        """As `rollback`, in a unit of work."""
        version: str | None = await work.connection.fetchval(PREVIOUS)
        if version is None:
            raise Conflict("no_previous_bundle", "there is no earlier bundle to go back to")
        await self.activate(work, version)
        return version

    async def prune(self, keep: int, now: datetime) -> list[str]:
        """Remove the files of stored and refused bundles, and of all but the `keep` newest retired ones.

        Their reports and model cards stay, for people who ask why. Files that cannot be removed stay for the next time.
        """
        removed = []
        for row in await self._database.pool.fetch(REMOVABLE, keep):
            try:
                await asyncio.to_thread(remove_model, row["uri"])
            except Exception as error:  # fsspec passes on all that its backends raise
                log.warning("cannot remove a bundle", bundle=row["bundle_version"], error=str(error))
                continue
            await self._database.pool.execute(REMOVED, row["bundle_version"], now)
            removed.append(row["bundle_version"])
        return removed


def _published(
    bundle: BundleRow, stage: PublishedStage, at: datetime, share: float = 0.0, *, raised: bool = False
) -> BundlePublished:
    return BundlePublished(
        stage=stage.value,
        bundle_version=bundle.bundle_version,
        uri=bundle.uri,
        sha256=bundle.sha256,
        published_at=at,
        share=share,
        raised=raised,
    )


def _row(row: Row) -> BundleRow:
    parsed = {"stage": BundleStage(row["stage"]), "labels": tuple(row["labels"]), "reasons": tuple(row["reasons"])}
    return BundleRow(**{**dict(row), **parsed})
