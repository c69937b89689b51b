"""Store a bundle again with other thresholds: the same weights and calibration under a new version."""

import tempfile
from datetime import datetime
from pathlib import Path

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.files import MANIFEST, fetch_files, manifest_sha256, read_manifest, refusals
from secondlook.common.bundle.store import store_bundle


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
    """Store the bundle at `uri` with these thresholds; returns the URI and sha256 of the new bundle. Blocking.

    Raises:
        BundleRejected: the bundle cannot be read, or the new one cannot be stored.
    """
    manifest = read_manifest(uri, sha256, cache)
    with refusals(uri), tempfile.TemporaryDirectory(prefix="second-look-") as temporary:
        folder = Path(temporary) / bundle_version
        folder.mkdir()
        fetch_files(uri, manifest, folder)
        changes = {"bundle_version": bundle_version, "created_at": created_at, "thresholds": thresholds}
        document = manifest.model_copy(update=changes).model_dump_json(indent=2)
        (folder / MANIFEST).write_text(f"{document}\n", encoding="utf-8")
        return store_bundle(folder, registry_uri), manifest_sha256(folder)
