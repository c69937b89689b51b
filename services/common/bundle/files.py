"""The files of a bundle, wherever they lie: read, copied, and checked against the hashes that name them."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from secondlook.common.bundle.certificates import CertifiedThresholds, faults
from secondlook.common.bundle.manifest import FORMATS, Manifest
from secondlook.common.bundle.reading import FILE_BYTES, MANIFEST_BYTES, Reader, local_reader, reader
from secondlook.common.errors import BundleRejected, BundleUnreachable, BundleUntrusted

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
        filesystem, _ = fsspec.url_to_fs(uri)
        if not isinstance(filesystem, LocalFileSystem) and (cache / sha256).is_dir():
            with suppress(BundleRejected):
                return checked_manifest(uri, local_reader(uri, cache / sha256), sha256)
        return checked_manifest(uri, reader(uri), sha256)


def fetch_files(uri: str, manifest: Manifest, folder: Path) -> None:
    """Copy the files that the manifest names from the bundle at `uri` to `folder`, and check them. Blocking.

    Raises:
        BundleRejected: a file cannot be read, or is not the one that the manifest names.
    """
    with refusals(uri):
        read = reader(uri)
        for name, expected in manifest.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            found = hashlib.sha256()
            with (folder / name).open("wb") as target:
                for piece in read(name, FILE_BYTES):
                    found.update(piece)
                    target.write(piece)
            _check(uri, name, found.hexdigest(), expected)


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


def checked_file(uri: str, read: Reader, name: str, expected: str, limit: int = FILE_BYTES) -> bytes:
    """The content of a file of the bundle at `uri`, if it has this sha256.

    Raises:
        BundleRejected: it has another, or cannot be read.
    """
    content = b"".join(read(name, limit))
    _check(uri, name, hashlib.sha256(content).hexdigest(), expected)
    return content


def checked_manifest(uri: str, read: Reader, sha256: str) -> Manifest:
    """The manifest of the bundle at `uri`, if it has this sha256; BundleRejected, as `open_bundle`."""
    return parsed_manifest(uri, checked_file(uri, read, MANIFEST, sha256, MANIFEST_BYTES))


def parsed_manifest(uri: str, document: bytes) -> Manifest:
    """The manifest that a document is, of the bundle at `uri`.

    Raises:
        BundleRejected: it is no manifest that this version reads.
        BundleUntrusted: its certificates do not follow from their numbers.
    """
    try:
        manifest = Manifest.model_validate_json(document)
    except ValidationError as error:
        newer = _format_of(document)
        if newer is not None and newer not in FORMATS:
            raise BundleRejected(
                f"bundle {uri}: {MANIFEST} has format {newer}, and this version reads formats "
                f"{' and '.join(map(str, FORMATS))}: install the version that wrote it, or train the bundle again"
            ) from error
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise BundleRejected(f"bundle {uri}: {MANIFEST} is not a manifest of format 1 or 2: {lines}") from error
    if false := faults(manifest.thresholds or CertifiedThresholds()):
        raise BundleUntrusted(
            f"bundle {uri}: its certificates do not follow from their numbers: {'; '.join(false)}; certify it again"
        )
    return manifest


def _format_of(document: bytes) -> int | None:
    try:
        found = json.loads(document)["format"]
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, int) else None


def _check(uri: str, name: str, actual: str, expected: str) -> None:
    if actual != expected:
        raise BundleRejected(
            f"bundle {uri}: {name} has sha256 {actual[:12]}…, not {expected[:12]}…: it is cut short, damaged or "
            "another file; store the bundle again"
        )


def sha256_of(path: Path) -> str:
    """In hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
