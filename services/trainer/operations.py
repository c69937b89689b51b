"""Promote a bundle and go back to the one before, as people ask for over the bus."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from secondlook.common.bundle.files import read_manifest
from secondlook.common.contract.operations import OperationAsked, Simulated, What
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.service.operations import Act
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.registry import BundleRow, Registry

MINE: tuple[What, ...] = ("promote", "rollback")
SWITCHED = "routers switch to it within seconds"


class BundleOperations:
    """A bundle that cannot be read here is not promoted: the routers would keep the one that they have."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def prepare(self, asked: OperationAsked) -> Act:
        """Look whether the bundle can be read; raises NotFound, Conflict, BundleRejected."""
        wanted = await self._wanted(asked)
        await asyncio.to_thread(_ensure_readable, wanted)

        async def act(unit: UnitOfWork) -> tuple[str, Simulated | None]:
            if asked.what == "promote":
                await self._registry.activate(unit, wanted.bundle_version)
                return f"bundle {wanted.bundle_version} is active; {SWITCHED}", None
            return f"bundle {await self._registry.go_back(unit)} is active again; {SWITCHED}", None

        return act

    async def _wanted(self, asked: OperationAsked) -> BundleRow:
        if asked.what == "rollback":
            if (previous := await self._registry.previous()) is None:
                raise Conflict("no_previous_bundle", "there is no earlier bundle to go back to")
            return previous
        for row in await self._registry.all():
            if row.bundle_version == asked.bundle_version:
                if row.removed_at is not None:
                    raise Conflict(
                        "bundle_removed", f"the files of bundle {row.bundle_version} were removed; train a new one"
                    )
                return row
        raise NotFound(f"there is no bundle {asked.bundle_version!r}")


def _ensure_readable(bundle: BundleRow) -> None:
    with TemporaryDirectory() as cache:
        read_manifest(bundle.uri, bundle.sha256, Path(cache))
