"""Runs each service in a process of its own, restarts those that die, and stops all of them cleanly."""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from secondlook.common.backoff import Backoff
from secondlook.common.errors import ConfigurationError

STOP_SECONDS = 25.0
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 0.2, 10.0
STEADY_SECONDS = 30.0
CONFIGURATION_STATUS = 2
# With -P, and for processes that a child starts: no module of the folder that the user happens to be in.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}


@dataclass(slots=True)
class Child:
    """A service process. `url` answers `/readyz`."""

    name: str
    module: str
    url: str
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None
    _started: float = field(default=0.0)

    async def start(self, log: Path) -> None:
        with log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", self.module,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env={**os.environ, **self.environment, "SECONDLOOK_SUPERVISOR_PID": str(os.getpid()), **SAFE_PATH},
            )  # fmt: skip
        self._started = time.monotonic()

    @property
    def ran_steadily(self) -> bool:
        return time.monotonic() - self._started > STEADY_SECONDS


class Supervisor:
    """Runs child processes. Their output goes to `<logs>/<name>.log`; calls `notice` with what a person should know."""

    def __init__(self, children: list[Child], logs: Path, notice: Callable[[str], None]) -> None:
        self._children, self._logs, self._notice = children, logs, notice

    async def run(self) -> None:
        """Keep every child running until cancelled, then stop them.

        Raises:
            ConfigurationError: a child reports a wrong setting when it starts for the first time; the last line of its
                log names it. What it reports later passes: settings do not change, and a database may be away.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        tasks = [asyncio.create_task(self._keep(child)) for child in self._children]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(self._stop(child) for child in self._children))

    async def _keep(self, child: Child) -> None:
        log = self._logs / f"{child.name}.log"
        backoff = Backoff(FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, factor=4)
        for start in itertools.count():
            await child.start(log)
            assert child.process is not None  # noqa: S101
            status = await child.process.wait()
            if status == CONFIGURATION_STATUS and start == 0:
                raise ConfigurationError(f"{child.name} does not start: {_last_line(log)}")
            if child.ran_steadily:
                backoff.reset()
            delay = backoff.wait()
            self._notice(f"{child.name} ended with status {status}, restarting it in {delay:.1f} s (see {log})")
            await asyncio.sleep(delay)

    async def _stop(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._notice(f"{child.name} did not stop within {STOP_SECONDS:g} s and was killed; this loses nothing")
            process.kill()
            await process.wait()

    async def wait_ready(self, on_wait: Callable[[str], None]) -> None:
        """Return when every child reports that it is ready; calls `on_wait` with the names of the others."""
        async with httpx.AsyncClient(timeout=2) as client:
            while waiting := [child.name for child in self._children if not await _is_ready(client, child)]:
                on_wait(", ".join(waiting))
                await asyncio.sleep(0.2)


async def _is_ready(client: httpx.AsyncClient, child: Child) -> bool:
    try:
        return (await client.get(f"{child.url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}"
