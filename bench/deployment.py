"""A whole Second Look, started as a user starts it, for benchmarks and acceptance tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from secondlook.cli.workspace import Workspace, find_workspace

START_SECONDS = 120.0
MODULES = {"router": "secondlook.router", "reviewer-api": "secondlook.reviewer_api", "trainer": "secondlook.trainer"}


@dataclass(slots=True)
class Deployment:
    """A running `secondlook up`."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        return find_workspace(self.data_dir)

    def command(self, *arguments: str) -> str:
        """Run a `secondlook` command on this system; returns what it printed, raises if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "secondlook.cli", *arguments],
            env={**os.environ, "SECONDLOOK_DATA_DIR": str(self.data_dir)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"secondlook {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def service(self, name: str) -> psutil.Process | None:
        """The process of a service, if it runs right now."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if child.cmdline()[-1:] == [MODULES[name]]:
                        return child
        return None

    def kill(self, name: str) -> bool:
        """kill -9 one service; False if it is not running."""
        found = self.service(name)
        if found is None:
            return False
        found.kill()
        return True

    def measure(self) -> None:
        """Note the resident memory of the services, in MB; `peaks` keeps the highest."""
        for name in MODULES:
            found = self.service(name)
            with suppress(psutil.NoSuchProcess):
                if found is not None:
                    self.peaks[name] = max(self.peaks.get(name, 0.0), found.memory_info().rss / 1e6)


@contextmanager
def deployment(data_dir: Path, port: int, environment: Mapping[str, str], *options: str) -> Iterator[Deployment]:
    """Start `secondlook up` with these options and wait until it is ready; it is stopped as Ctrl-C stops it.

    Raises:
        RuntimeError: it does not get ready; with what it printed.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "up.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "secondlook.cli", "up", "--data-dir", str(data_dir), "--port", str(port), *options],
            stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
    system = Deployment(data_dir, process)
    try:
        deadline = time.monotonic() + START_SECONDS
        # The processes too: what answers could be left over from a deployment that was killed.
        while not all(map(system.service, MODULES)) or not all(_ready(port + offset) for offset in range(3)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"secondlook up did not get ready:\n{log.read_text(errors='replace')}")
            time.sleep(0.2)
        yield system
    except Exception as error:
        error.add_note(f"what secondlook up printed:\n{log.read_text(errors='replace')}")
        raise
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
