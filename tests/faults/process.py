"""The processes of the services, as a supervisor keeps them."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
RESTART_SECONDS = 1.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """A port below those that clients are given, so that it is still free when its owner comes back."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port


class Service:
    """One process. It is started again when it ends by itself (`ends` says why), and stays away where a fault says so.

    It ends with the process that started it, too.
    """

    def __init__(self, name: str, module: str, environment: Mapping[str, str], folder: Path, port: int = 0) -> None:
        self.name, self.ends = name, list[str]()
        self._module, self._log, self._port = module, folder / f"{name}.log", port
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SECONDLOOK_")}
        self._environment = {**kept, **environment, "SECONDLOOK_SUPERVISOR_PID": str(os.getpid())}
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def start(self) -> None:
        """Start it, and return at once."""
        await self.down()
        self._watching = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            with self._log.open("ab") as log:
                self._process = process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", self._module,
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment, cwd=ROOT,
                )  # fmt: skip
            status = await process.wait()
            last = self._log.read_text(errors="replace").splitlines()[-1:]
            self.ends.append(f"{self.name} ended with status {status}: {''.join(last)[:300]}")
            await asyncio.sleep(RESTART_SECONDS)

    async def down(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, wait for that, and leave it away until `start`."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                self.ends.append(f"{self.name} did not end within {STOP_SECONDS:g} s of {number.name}")
                process.kill()
                await process.wait()

    def suspend(self) -> None:
        """SIGSTOP: it halts where it is, its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ready(self, client: httpx.AsyncClient) -> None:
        """Return when it says that it is ready; raises TimeoutError."""
        async with asyncio.timeout(READY_SECONDS):
            while not await self._is_ready(client):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.2)

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        with suppress(httpx.HTTPError):
            return (await client.get(f"{self.url}/readyz")).status_code == 200
        return False

    async def metric(self, client: httpx.AsyncClient, sample: str) -> float:
        """The value of a metric, by its name and labels as they are printed; 0 if it is not there."""
        with suppress(httpx.HTTPError):
            for line in (await client.get(f"{self.url}/metrics")).text.splitlines():
                if line.startswith(sample + " "):
                    return float(line.rpartition(" ")[2])
        return 0.0

    def logged(self, words: str) -> list[dict[str, Any]]:
        """The log lines that contain these words."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines if words in line and line.startswith("{")]
