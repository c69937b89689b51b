"""The files of a bundle, wherever they lie: read, copied, and checked against the hashes that name them."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from secondlook.common.bundle.manifest import FORMATS, Manifest
from secondlook.common.errors import BundleRejected, BundleUnreachable

MANIFEST = "manifest.json"


def manifest_sha256(folder: Path) -> str:
    """The identity of the bundle in `folder`: the sha256 of its manifest."""
    return sha256_of(folder / MANIFEST)


def read_manifest(uri: str, sha256: str, cache: Path) -> Manifest:
    """The manifest alone of the bundle at `uri`, if it has this sha256; its files are neither read nor checked.

    Of a remote bundle that `cache` keeps, the copy there. Blocking.

    Raises:
        BundleRejected: as `open_bundle` does.
    """
    with refusals(uri, sha256):
        filesystem, path = fsspec.url_to_fs(uri)
        if isinstance(filesystem, LocalFileSystem):
            return manifest_in(uri, Path(path), sha256)
        if (cache / sha256).is_dir():
            with suppress(BundleRejected):
                return manifest_in(uri, cache / sha256, sha256)
        with tempfile.TemporaryDirectory(prefix="second-look-") as temporary:
            filesystem.get_file(f"{path.rstrip('/')}/{MANIFEST}", str(Path(temporary) / MANIFEST))
            return manifest_in(uri, Path(temporary), sha256)


def fetch_files(uri: str, manifest: Manifest, folder: Path) -> None:
    """Copy the files that the manifest names from the bundle at `uri` to `folder`, and check them. Blocking.

    Raises:
        BundleRejected: a file cannot be read, or is not the one that the manifest names.
    """
    with refusals(uri):
        filesystem, path = fsspec.url_to_fs(uri)
        for name, expected in manifest.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            filesystem.get_file(f"{path.rstrip('/')}/{name}", str(folder / name))
            check(uri, folder / name, expected)


@contextmanager
def refusals(uri: str, sha256: str | None = None) -> Iterator[None]:
    """Every error inside becomes a BundleUnreachable, unless it is a BundleRejected; a malformed sha256 is one."""
    if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        raise BundleRejected(f"bundle {uri}: {sha256!r} is not a sha256; publish the bundle again")
    try:
        yield
    except BundleRejected:
        raise
    except Exception as error:  # fsspec passes on whatever its backends raise
        raise BundleUnreachable(
            f"bundle {uri}: cannot be read ({type(error).__name__}: {error}); "
            "check the address, the credentials and the disk"
        ) from error


def manifest_in(uri: str, folder: Path, sha256: str) -> Manifest:
    """The manifest in a local folder that holds (a part of) the bundle at `uri`; BundleRejected, as `open_bundle`."""
    check(uri, folder / MANIFEST, sha256)
    document = (folder / MANIFEST).read_bytes()
    try:
        return Manifest.model_validate_json(document)
    except ValidationError as error:
        newer = _format_of(document)
        if newer is not None and newer not in FORMATS:
            raise BundleRejected(
                f"bundle {uri}: {MANIFEST} has format {newer}, and this version reads formats "
                f"{' and '.join(map(str, FORMATS))}: install the version that wrote it, or train the bundle again"
            ) from error
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise BundleRejected(f"bundle {uri}: {MANIFEST} is not a manifest of format 1 or 2: {lines}") from error


def _format_of(document: bytes) -> int | None:
    try:
        found = json.loads(document)["format"]
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, int) else None


def check(uri: str, path: Path, expected: str) -> None:
    """BundleRejected unless a local file of the bundle at `uri` has this sha256."""
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise BundleUnreachable(
            f"bundle {uri}: {path.name} cannot be read: {error.strerror}; store it again"
        ) from error
    if actual != expected:
        raise BundleRejected(
            f"bundle {uri}: {path.name} has sha256 {actual[:12]}…, not {expected[:12]}…: it is cut short, damaged or "
            "another file; store the bundle again"
        )


def sha256_of(path: Path) -> str:
    """In hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
