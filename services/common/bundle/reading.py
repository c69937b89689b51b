"""Reads the files of a bundle so that nothing that lies in its folder blocks the reader or fills its memory.

Of a local folder only regular files are read: a FIFO would wait for a writer for ever, a device has no end, a link
leads elsewhere. Each is opened once, and what is checked is what was read. Of a store elsewhere, no more is fetched
than a file may have, and not for longer than `FETCH_SECONDS`.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from secondlook.common.errors import BundleRejected, BundleUnreachable

MIB = 2**20
MANIFEST_BYTES = 16 * MIB
FILE_BYTES = 2048 * MIB  # an ONNX graph has no more
FETCH_SECONDS = 600.0  # for one file; a backend that does not answer has time-outs of its own
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}

# The content of a file, by its path in the bundle's folder and the most bytes that it may have, in pieces.
Reader = Callable[[str, int], Iterator[bytes]]


def reader(uri: str) -> Reader:
    """Reads what lies at `uri`: `file://`, `s3://`, anything fsspec knows.

    What it returns raises BundleUnreachable if a file cannot be read, BundleRejected if it must not be: it is no
    regular file, or too long. Backends of fsspec also raise errors of their own.
    """
    filesystem, path = fsspec.url_to_fs(uri)
    return local_reader(uri, Path(path)) if isinstance(filesystem, LocalFileSystem) else _remote(uri, filesystem, path)


def local_reader(uri: str, folder: Path) -> Reader:
    """Reads a local folder that holds (a part of) the bundle at `uri`."""

    def read(name: str, limit: int) -> Iterator[bytes]:
        try:
            yield from _regular(uri, folder, name, limit)
        except OSError as error:
            raise BundleUnreachable(f"bundle {uri}: {name} cannot be read: {error.strerror}; store it again") from error

    return read


def _regular(uri: str, folder: Path, name: str, limit: int) -> Iterator[bytes]:
    *folders, leaf = name.split("/")
    directory = os.open(folder, _FOLDER)
    try:
        for part in folders:
            _refuse_other_than(uri, part, os.stat(part, dir_fd=directory, follow_symlinks=False), stat.S_IFDIR)
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        # Looked at first, as opening alone has effects on some devices; and again once it is open.
        _refuse_other_than(uri, name, os.stat(leaf, dir_fd=directory, follow_symlinks=False), stat.S_IFREG)
        descriptor = os.open(leaf, _READ, dir_fd=directory)
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        _refuse_other_than(uri, name, found, stat.S_IFREG)
        if found.st_size > limit:
            raise _too_long(uri, name, limit)
        yield from _pieces(uri, name, file.read, found.st_size)


def _refuse_other_than(uri: str, name: str, found: os.stat_result, kind: int) -> None:
    actual = stat.S_IFMT(found.st_mode)
    if actual != kind:
        wanted = "regular file" if kind == stat.S_IFREG else "folder"
        raise BundleRejected(
            f"bundle {uri}: {name} is {_KINDS.get(actual, 'a device')}, no {wanted}; store the bundle again"
        )


def _remote(uri: str, filesystem: AbstractFileSystem, path: str) -> Reader:
    def read(name: str, limit: int) -> Iterator[bytes]:
        with filesystem.open(f"{path.rstrip('/')}/{name}", "rb") as file:
            yield from _pieces(uri, name, file.read, limit)

    return read


def _pieces(uri: str, name: str, read: Callable[[int], bytes | None], limit: int) -> Iterator[bytes]:
    left, deadline = limit, time.monotonic() + FETCH_SECONDS
    while piece := read(min(MIB, left + 1)):
        left -= len(piece)
        if left < 0:
            raise _too_long(uri, name, limit)
        if time.monotonic() > deadline:
            raise BundleUnreachable(f"bundle {uri}: {name} was not read within {FETCH_SECONDS:g} s")
        yield piece


def _too_long(uri: str, name: str, limit: int) -> BundleRejected:
    return BundleRejected(f"bundle {uri}: {name} has more than {limit} bytes, or grows; store the bundle again")
