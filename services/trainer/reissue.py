"""A bundle again, with other thresholds: the same weights and calibration under a new version."""

import tempfile
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import fsspec

from secondlook.common.bundle.manifest import FILES, CertifiedThresholds
from secondlook.common.bundle.store import MANIFEST, manifest_sha256, open_bundle, store_bundle

APPROVE, REJECT = "approve", "reject "


def reissue(
    uri: str,
    sha256: str,
    cache: Path,
    registry_uri: str,
    *,
    bundle_version: str,
    created_at: datetime,
    thresholds: CertifiedThresholds,
) -> tuple[str, str]:
    """Store the bundle at `uri` with these thresholds; returns the URI and sha256 of what was stored. Blocking.

    Raises:
        BundleRejected: the bundle cannot be read, or the new one cannot be stored.
    """
    manifest = open_bundle(uri, sha256, cache).manifest.model_copy(
        update={"bundle_version": bundle_version, "created_at": created_at, "thresholds": thresholds}
    )
    with tempfile.TemporaryDirectory(prefix="second-look-") as temporary:
        folder = Path(temporary) / bundle_version
        folder.mkdir()
        files, path = fsspec.core.url_to_fs(uri)
        for name in FILES:
            files.get_file(f"{path.rstrip('/')}/{name}", str(folder / name))
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return store_bundle(folder, registry_uri), manifest_sha256(folder)


def sides(thresholds: CertifiedThresholds | None) -> list[str]:
    """The names of the sides that are on: `approve`, `reject LABEL`."""
    if thresholds is None:
        return []
    return [*([APPROVE] if thresholds.approve else []), *(f"{REJECT}{label}" for label in sorted(thresholds.reject))]


def without(thresholds: CertifiedThresholds, off: Collection[str]) -> CertifiedThresholds:
    """The thresholds with these sides off."""
    return CertifiedThresholds(
        approve=None if APPROVE in off else thresholds.approve,
        reject={label: side for label, side in thresholds.reject.items() if f"{REJECT}{label}" not in off},
    )


def widest(old: CertifiedThresholds | None, new: CertifiedThresholds) -> CertifiedThresholds:
    """Of each side the threshold that decides more. Both stay certified: attempts share one chance of error."""
    if old is None:
        return new
    approves = [side for side in (old.approve, new.approve) if side is not None]
    reject = {
        label: min((each.reject[label] for each in (old, new) if label in each.reject), key=lambda side: side.threshold)
        for label in sorted({*old.reject, *new.reject})
    }
    lowest = min((side.threshold for side in reject.values()), default=2.0)
    clear = [side for side in approves if side.threshold < lowest]  # what is rejected is never approved
    return CertifiedThresholds(approve=max(clear, key=lambda side: side.threshold, default=None), reject=reject)
