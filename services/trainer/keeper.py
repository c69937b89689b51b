"""Keeps the topic of bundles equal to the stages that bundles are in here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from secondlook.common.bus.signatures.keeper import Seen
from secondlook.common.bus.signatures.keyring import Authenticity
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import BundlePublished
from secondlook.common.errors import InvalidInput
from secondlook.common.postgres import Connection, Row
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.registry import RAISED
from secondlook.trainer.stages import BundleStage, PublishedStage

# Locked, so that whoever moves a bundle meanwhile publishes afterwards.
STAGED = f"""
SELECT stage, bundle_version, uri, sha256, share, CASE stage WHEN 'active' THEN promoted_at ELSE staged_at END AS at,
       stage = 'active' AND ({RAISED}) AS raised
FROM bundle b WHERE stage IN ('active', 'canary', 'shadow') FOR UPDATE
"""  # noqa: S608 - made of constants
LEFT = """
SELECT bundle_version, uri, sha256, NULL::float8 AS share, staged_at AS at, false AS raised
FROM bundle WHERE staged_at IS NOT NULL ORDER BY staged_at DESC LIMIT 1
"""
LATER = """
UPDATE bundle SET promoted_at = CASE stage WHEN 'active' THEN $2 ELSE promoted_at END,
    staged_at = CASE stage WHEN 'active' THEN staged_at ELSE $2 END
WHERE bundle_version = $1 AND stage IN ('active', 'canary', 'shadow')
"""
_STAGES: tuple[PublishedStage, ...] = (BundleStage.ACTIVE, BundleStage.CANARY, BundleStage.SHADOW)
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class StageKeeper:
    """`canary_share` is that of a canary whose own share an earlier version did not record."""

    transactions: Transactions
    canary_share: float

    async def agree(self, newest: Mapping[str, Seen]) -> bool:
        """Publish again each stage whose newest record is not what is in it here; returns whether there was one.

        A stage without a record needs none while it is empty.
        """
        async with self.transactions.begin() as work:
            for stage, wanted in (await self._wanted(work.connection)).items():
                seen = newest.get(stage)
                if (seen is None and not wanted.in_force) or (seen is not None and _holds(wanted, seen)):
                    continue
                event = wanted.model_copy(update={"published_at": _after(wanted, seen)})
                if event.in_force and event.published_at != wanted.published_at:
                    await work.connection.execute(LATER, event.bundle_version, event.published_at)
                work.publish(event)
            return bool(work.messages)

    async def _wanted(self, connection: Connection) -> dict[str, BundlePublished]:
        """The record that each stage should have; none of an empty stage before there was any bundle."""
        staged = {row["stage"]: row for row in await connection.fetch(STAGED)}
        left = await connection.fetchrow(LEFT) or staged.get(BundleStage.ACTIVE)
        found = {}
        for stage in _STAGES:
            row = staged.get(stage) or (left if stage is not BundleStage.ACTIVE else None)
            if row is not None:
                found[stage.value] = self._event(stage, row, in_force=stage in staged)
        return found

    def _event(self, stage: PublishedStage, row: Row, *, in_force: bool) -> BundlePublished:
        share = (row["share"] or self.canary_share) if stage is BundleStage.CANARY and in_force else 0.0
        return BundlePublished(
            stage=stage.value, bundle_version=row["bundle_version"], uri=row["uri"], sha256=row["sha256"],
            published_at=row["at"], share=share, in_force=in_force,
            raised=row["raised"] and stage is BundleStage.ACTIVE and in_force,
        )  # fmt: skip


def _holds(wanted: BundlePublished, seen: Seen) -> bool:
    found = _bundle_in(seen)
    if found is None or seen.authenticity not in (Authenticity.GENUINE, Authenticity.UNCHECKED):
        return False
    if not wanted.in_force:
        return not found.in_force
    return found.model_copy(update={"published_at": wanted.published_at}) == wanted


def _after(wanted: BundlePublished, seen: Seen | None) -> datetime:
    """When to say that it was published: later than a record that readers have accepted, as they keep the latest."""
    found = _bundle_in(seen) if seen is not None and seen.authenticity.accepted else None
    if found is None or found == wanted or found.published_at < wanted.published_at:
        return wanted.published_at
    if found.model_copy(update={"published_at": wanted.published_at}) == wanted:  # only the key is another
        return found.published_at
    return max(wanted.published_at, min(found.published_at, _LAST) + timedelta(microseconds=1))


def _bundle_in(seen: Seen) -> BundlePublished | None:
    try:
        event = decode(seen.record)
    except InvalidInput:  # of another version, or forged
        return None
    return event if isinstance(event, BundlePublished) else None
