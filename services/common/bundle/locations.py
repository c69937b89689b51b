"""Where bundles may lie: whoever can publish a bundle cannot make a service read what lies elsewhere."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from secondlook.common.errors import BundleUntrusted, ConfigurationError

LOCAL = ("file", "local")
_PLAIN = re.compile(
    r"[^\x00-\x20\x7f?#%\\]*"
)  # of a store elsewhere: nothing that a backend may read as more than a name


class _Address(NamedTuple):
    store: str
    names: tuple[str, ...]


def parse_roots(listed: str) -> tuple[str, ...]:
    """The roots of a setting: URIs, comma separated.

    Raises:
        ConfigurationError: one of them is no place under which bundles can lie.
    """
    roots = tuple(root for part in listed.split(",") if (root := part.strip()))
    for root in roots:
        try:
            _address(root)
        except ValueError as error:
            raise ConfigurationError(f"SECONDLOOK_BUNDLE_ROOTS: {root!r} {error}") from error
    return roots


def refuse_outside(uri: str, roots: Sequence[str]) -> None:
    """Check that `uri` lies in one of the roots, below it; a local one after every link on the way is followed.

    Raises:
        BundleUntrusted: it does not, or it can be read in two ways.
    """
    try:
        found = _address(uri)
    except ValueError as error:
        raise BundleUntrusted(f"bundle {uri}: its address {error}") from error
    for root in map(_address, roots):
        below = found.names[: len(root.names)] == root.names and len(found.names) > len(root.names)
        if found.store == root.store and below:
            return
    raise BundleUntrusted(
        f"bundle {uri}: bundles are read from {', '.join(roots) or 'nowhere'} only; "
        "store it there, or add its place to SECONDLOOK_BUNDLE_ROOTS"
    )


def _address(uri: str) -> _Address:
    if "::" in uri:
        raise ValueError("chains file systems")
    if any(part in (".", "..") for part in re.split(r"[/\\]", uri)):
        raise ValueError("has steps like '..'")
    protocol, path = fsspec.core.split_protocol(uri)
    store = protocol or "file"
    if store in LOCAL:
        if "\x00" in uri or not path:
            raise ValueError("names no folder")
        return _Address("file", Path(LocalFileSystem._strip_protocol(uri)).resolve().parts)
    if not _PLAIN.fullmatch(path):
        raise ValueError("has characters that are no part of a name")
    names = path.strip("/").split("/")
    if not all(names):
        raise ValueError("has an empty step")
    return _Address(store, tuple(names))
