"""Whatever lies in a bundle's folder blocks nobody, and only what lies in the configured places is read."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import SecretStr

from secondlook.common.bundle import reading
from secondlook.common.bundle.files import manifest_sha256, read_manifest
from secondlook.common.bundle.locations import parse_roots, refuse_outside
from secondlook.common.bundle.manifest import FILES
from secondlook.common.bundle.reading import FILE_BYTES, local_reader, reader
from secondlook.common.bundle.store import open_bundle, store_bundle
from secondlook.common.errors import BundleRejected, BundleUnreachable, BundleUntrusted, ConfigurationError
from secondlook.router.model import loader
from secondlook.router.settings import RouterSettings
from secondlook.trainer.bundle_files import remove_stray
from secondlook.trainer.reissue import reissue

SECONDS = 20.0


def in_time(call: Callable[[], object]) -> BaseException | None:
    """The error of a call; fails if it does not come back."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert raised, "it blocks"
    return raised[0]


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    shutil.copyfile(path.parent / "kept", path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


def folder(path: Path) -> None:
    path.mkdir()


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(FILE_BYTES + 1)


STRANGE = [
    (fifo, "is a FIFO"), (link, "is a link"), (link_to_a_device, "is a link"), (device, "is a device"),
    (folder, "is a folder"), (listening, "is a socket"), (huge, "bytes, or grows"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
@pytest.mark.parametrize(("make", "why"), STRANGE, ids=[make.__name__ for make, _ in STRANGE])
def test_what_is_no_regular_file_is_refused_and_blocks_nobody(
    bundle_folder: Path,
    tmp_path: Path,
    name: str,
    make: Callable[[Path], None],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "2025-01-01.1"))
    sha256 = manifest_sha256(copy)
    (copy / name).rename(copy / "kept")
    make(copy / name)
    uri, cache = copy.as_uri(), tmp_path / "cache"
    error = in_time(lambda: open_bundle(uri, sha256, cache))
    assert isinstance(error, BundleRejected)
    assert not isinstance(error, BundleUnreachable)
    assert f"{name} " in str(error)
    assert why in str(error)
    if name == "manifest.json":
        assert isinstance(in_time(lambda: read_manifest(uri, sha256, cache)), BundleRejected)
        if make is not huge:
            created = read_manifest(bundle_folder.as_uri(), sha256, cache).created_at
            assert in_time(lambda: remove_stray(tmp_path.as_uri(), "2025-01-01.1", created)) is None
            assert copy.exists(), "it is left alone"
            assert isinstance(in_time(lambda: store_bundle(bundle_folder, tmp_path.as_uri())), BundleRejected)
    else:
        again = in_time(lambda: reissue_to(uri, sha256, tmp_path))
        assert isinstance(again, BundleRejected)
        assert why in str(again)


def reissue_to(uri: str, sha256: str, folder: Path) -> None:
    manifest = read_manifest(uri, sha256, folder)
    reissue(
        uri, sha256, folder, (folder / "stored").as_uri(), bundle_version="2", created_at=manifest.created_at,
        thresholds=manifest.thresholds,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_folder_of_a_stage_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("secret")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "stage").symlink_to(tmp_path / "elsewhere")
    read = local_reader("b", tmp_path / "bundle")
    with pytest.raises(BundleRejected, match="stage is a link, no folder"):
        list(read("stage/file", 100))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0)
    with pytest.raises(BundleUnreachable, match="Permission denied"):
        list(local_reader("b", tmp_path)("file", 100))


@pytest.mark.parametrize(("size", "limit", "fits"), [(0, 0, True), (5, 5, True), (6, 5, False), (2**21, 2**21, True)])
def test_a_file_has_a_largest_size(tmp_path: Path, size: int, limit: int, fits: bool) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    for read in (local_reader("b", tmp_path), reader(tmp_path.as_uri())):
        if fits:
            assert b"".join(read("file", limit)) == b"x" * size
        else:
            with pytest.raises(BundleRejected, match="more than 5 bytes"):
                list(read("file", limit))


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * reading.MIB * 3)
    pieces = local_reader("b", tmp_path)("file", 2**30)
    next(pieces)
    with (tmp_path / "file").open("ab") as file:
        file.write(b"y" * reading.MIB * 3)
    with pytest.raises(BundleRejected, match="or grows"):
        list(pieces)


class Endless(MemoryFileSystem):  # type: ignore[misc]
    """A store that sends on and on."""

    protocol = "endless"

    def _open(self, path: str, mode: str = "rb", **more: object) -> object:
        class Body:
            def read(self, n: int) -> bytes:
                time.sleep(0.001)
                return b"\0" * min(n, 4096)

            def __enter__(self) -> "Body":
                return self

            def __exit__(self, *_: object) -> None: ...

        return Body()

    open = _open


def test_a_store_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("endless", Endless, clobber=True)
    with pytest.raises(BundleRejected, match="more than 100000 bytes"):
        list(reader("endless://b")("manifest.json", 100_000))
    monkeypatch.setattr(reading, "FETCH_SECONDS", 0.05)
    with pytest.raises(BundleUnreachable, match=r"not read within 0\.05 s"):
        list(reader("endless://b")("manifest.json", 2**40))


ROOTS = ("file:///srv/second-look/bundles", "s3://bucket/bundles/", "memory://registry")
INSIDE = [
    "file:///srv/second-look/bundles/1", "/srv/second-look/bundles/1", "file:///srv/second-look/bundles/1/",
    "file:///srv/second-look/bundles/a/1", "local:///srv/second-look/bundles/1",
    "s3://bucket/bundles/1", "s3://bucket/bundles/2025-01-01.1-a0101T000000", "memory:///registry/1",
    "memory://registry/1", "file:///srv//second-look/bundles/1",
]  # fmt: skip
OUTSIDE = [
    "FILE:///srv/second-look/bundles/1",
    "file:///srv/second-look/bundles", "file:///srv/second-look/bundles/", "file:///srv/second-look/bundles-evil/1",
    "file:///srv/second-look/bundle/1", "file:///srv/second-look/bundles/../evil/1", "/etc/passwd",
    "file:///etc/passwd",
    "file:///srv/second-look/bundles/./1", "file:///srv/second-look/bundles/1/..", "bundles/1", "",
    "file://", "file:///",
    "file:///srv/second-look/bundles\\..\\..\\evil", "file:///srv/second-look/bundles/\x00", "s3://bucket/bundles",
    "s3://bucket/bundles-evil/1", "s3://bucket/bundles/../evil/1", "s3://bucket/bundles//1", "s3://other/bundles/1",
    "s3://bucket.evil/bundles/1", "s3://evil@bucket/bundles/1", "s3://bucket/bundles/1?versionId=x",
    "s3://bucket/bundles/1#x", "s3://bucket/bundles/%2e%2e/1", "gs://bucket/bundles/1", "s3a://bucket/bundles/1",
    "http://bucket/bundles/1", "https://evil.example/1", "memory://other/1", "memory://registry", "ftp://registry/1",
    "simplecache::s3://bucket/bundles/1", "simplecache::file:///srv/second-look/bundles/1",
    "zip://1::s3://bucket/bundles/a.zip", "file:///srv/second-look/bundles/1::s3://bucket/bundles/1",
    "data:text/plain,x", "github://org:repo@main/bundles/1", "dir::file:///srv/second-look/bundles/1",
]  # fmt: skip


@pytest.mark.parametrize("uri", INSIDE)
def test_bundles_in_a_root_are_read(uri: str) -> None:
    refuse_outside(uri, ROOTS)


@pytest.mark.parametrize("uri", OUTSIDE)
def test_bundles_elsewhere_are_refused(uri: str) -> None:
    with pytest.raises(BundleUntrusted, match="bundle"):
        refuse_outside(uri, ROOTS)
    with pytest.raises(BundleUntrusted):
        loader(Path("/nonexistent"), ROOTS)(uri, "0" * 64)


def test_a_link_in_a_root_leads_nowhere_else(bundle_folder: Path, tmp_path: Path) -> None:
    root, sha256 = tmp_path / "bundles", manifest_sha256(bundle_folder)
    shutil.copytree(bundle_folder, root / "1")
    shutil.copytree(bundle_folder, tmp_path / "evil" / "2")
    (root / "2").symlink_to(tmp_path / "evil" / "2")
    (root / "up").symlink_to(tmp_path / "evil")
    (root / "same").symlink_to(root / "1")
    (tmp_path / "root").symlink_to(root)
    load = loader(tmp_path / "cache", (root.as_uri(),))
    for inside in (root / "1", root / "same", tmp_path / "root" / "1"):
        assert load(inside.as_uri(), sha256).version == "2025-01-01.1"
    for outside in (root / "2", root / "up" / "2"):
        with pytest.raises(BundleUntrusted):
            load(outside.as_uri(), sha256)
    assert loader(tmp_path / "cache")((root / "2").as_uri(), sha256).version == "2025-01-01.1", "no roots, no limit"


@pytest.mark.parametrize(
    ("listed", "roots"),
    [
        ("", ()),
        ("s3://bucket/bundles", ("s3://bucket/bundles",)),
        (" s3://bucket/bundles , file:///srv/b,", ("s3://bucket/bundles", "file:///srv/b")),
    ],
)
def test_roots_are_listed_with_commas(listed: str, roots: tuple[str, ...]) -> None:
    assert parse_roots(listed) == roots


@pytest.mark.parametrize("listed", ["s3://bucket/../other", "simplecache::s3://bucket", "s3://", "file://", "s3://b?x"])
def test_a_root_that_is_no_place_is_an_error_at_the_start(listed: str) -> None:
    with pytest.raises(ConfigurationError, match="SECONDLOOK_BUNDLE_ROOTS"):
        parse_roots(listed)


@pytest.mark.parametrize(
    ("environment", "roots"),
    [
        ({}, ""),
        ({"SECONDLOOK_BUNDLE_URI": "s3://bucket/bundles"}, "s3://bucket/bundles"),
        ({"SECONDLOOK_BUNDLE_URI": "s3://b/new", "SECONDLOOK_BUNDLE_ROOTS": "s3://b/old,s3://b"}, "s3://b/old,s3://b"),
    ],
)
def test_a_router_reads_where_the_trainer_writes_unless_told_otherwise(
    environment: dict[str, str], roots: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECONDLOOK_BUNDLE_URI", "SECONDLOOK_BUNDLE_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert RouterSettings.load(database_url=SecretStr("x")).bundle_roots == roots
