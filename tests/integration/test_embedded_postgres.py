"""The embedded PostgreSQL: on any path, after any kill."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil
import pytest

from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.errors import ConfigurationError

pytestmark = pytest.mark.slow  # starts servers of its own

HOLD = """
import sys, time
from pathlib import Path
from secondlook.cli.local.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not under pytest's own folder, which other users cannot enter.
    with TemporaryDirectory(prefix="second-look-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def data(folder: Path) -> Path:
    """A data folder that a server has used before."""
    data = folder / "a b" / "postgres"
    with embedded_postgres(data):
        return data


def answer(url: str) -> int:
    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval("SELECT 1"))
        finally:
            await connection.close()

    return asyncio.run(ask())


def servers(folder: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in (p.info["cmdline"] or ())]


@pytest.mark.parametrize(
    "name",
    ['it\'s "quoted" $HOME `id` %20, çödé; a=b&c', "/".join(["long" * 25] * 6)],
    ids=["odd", "long"],
)
def test_it_runs_on_any_path_and_keeps_its_url(folder: Path, name: str) -> None:
    data = folder / name / "postgres"
    with embedded_postgres(data) as server:
        url = server.url
        assert answer(url) == 1
        sockets = Path(url.partition("host=")[2])
        assert sockets.stat().st_mode & 0o077 == 0, "only the server's own user may connect"
    assert not servers(data)
    assert sockets == data or not sockets.exists()
    with embedded_postgres(data) as server:
        assert server.url == url
        assert answer(url) == 1


def test_a_server_that_outlived_its_process_is_taken_over(data: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    url = holder.stdout.readline().strip()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    [before] = servers(data)
    with embedded_postgres(data) as server:
        assert server.url == url
        assert answer(url) == 1
        assert [one.pid for one in servers(data)] == [before.pid]
    assert not servers(data)


def test_a_server_that_was_killed_starts_again_at_the_same_url(data: Path) -> None:
    with embedded_postgres(data) as server:
        [process] = servers(data)
        children = process.children()
        process.send_signal(signal.SIGKILL)
        psutil.wait_procs([process, *children], timeout=10)
        assert not server.alive
        url = server.url
        server.start_again()
        assert server.alive
        assert (server.url, answer(url)) == (url, 1)


def test_a_lock_file_that_names_another_process_does_not_count(data: Path) -> None:
    """After a restart of the machine, or of a container, the pid of the server that was killed is somebody else's."""
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n{data}\n\n  1 1\nready\n")
    with embedded_postgres(data) as server:
        assert answer(server.url) == 1


def test_a_start_that_was_killed_while_it_made_the_folder_is_repeated(folder: Path) -> None:
    data = folder / "postgres"
    assert not data.exists()
    (folder / "postgres.part").mkdir()
    (folder / "postgres.part" / "PG_VERSION").write_text("18\n")
    with embedded_postgres(data) as server:
        assert answer(server.url) == 1
    assert not (folder / "postgres.part").exists()


def test_a_folder_that_cannot_be_used_is_one_line(folder: Path) -> None:
    (folder / "file").touch()
    with (
        pytest.raises(ConfigurationError, match=r"PostgreSQL does not start on .*Not a directory") as raised,
        embedded_postgres(folder / "file" / "postgres"),
    ):
        pass
    assert "\n" not in str(raised.value)
