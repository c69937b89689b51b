"""Removes the files of bundles that nobody needs any more. Blocking."""

from datetime import datetime

import fsspec
from pydantic import ValidationError

from secondlook.common.bundle.files import MANIFEST
from secondlook.common.bundle.manifest import CARD, REPORT, Manifest
from secondlook.common.bundle.reading import MANIFEST_BYTES, reader
from secondlook.common.errors import BundleRejected


def remove_stray(registry_uri: str, bundle_version: str, created_at: datetime) -> bool:
    """Remove a bundle whose run did not end. Blocking.

    Returns whether it was there. A bundle that was made at another moment is somebody else's and is left alone, and so
    is a folder without a manifest that says when.
    """
    uri = f"{registry_uri.rstrip('/')}/{bundle_version}"
    try:
        found = Manifest.model_validate_json(b"".join(reader(uri)(MANIFEST, MANIFEST_BYTES)))
    except (FileNotFoundError, BundleRejected, ValidationError):
        return False
    if found.created_at != created_at:
        return False
    _remove_files(uri)
    return True


def remove_model(uri: str) -> None:
    """Remove all files of a bundle but its report and its model card."""
    files, path = fsspec.core.url_to_fs(uri)
    found = files.ls(path, detail=False) if files.exists(path) else []
    names = {str(name).rstrip("/").rpartition("/")[2] for name in found}
    if not {REPORT, CARD} & names:
        _remove_files(uri)
        return
    for name in sorted(names - {REPORT, CARD}):
        files.rm(f"{path.rstrip('/')}/{name}", recursive=True)


def _remove_files(uri: str) -> None:
    files, path = fsspec.core.url_to_fs(uri)
    if files.exists(path):
        files.rm(path, recursive=True)
