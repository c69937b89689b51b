"""Ordered start and stop of a service.

Tasks start in the order they were added and stop in the reverse order, so a task that accepts work stops before those
that do the work. A task that ends by itself is a fault: all tasks stop, and the process exits with status 1.
"""

import asyncio
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from typing import Any

import structlog
import uvicorn

from secondlook.common.backoff import Backoff
from secondlook.common.errors import ConfigurationError
from secondlook.common.http.connections import ClientConnection
from secondlook.common.http.limits import IDLE_SECONDS, MAX_HEAD

STOP_SECONDS = 20.0
PARENT_SECONDS = 1.0
MAX_WAIT_SECONDS = 5.0
TRIM_SECONDS = 10.0
BACKLOG = 2048  # as uvicorn's

log = structlog.get_logger()


class _Server(uvicorn.Server):
    async def serve(self, sockets: Any = None) -> None:
        # uvicorn exits when it cannot listen; raised in a task that would tear the event loop down around the others.
        with suppress(SystemExit):
            await super().serve(sockets)

    def capture_signals(self) -> Any:
        return nullcontext()  # signals belong to the lifecycle


class Lifecycle:
    """The tasks of one process."""

    def __init__(self) -> None:
        self._starts: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._stop = asyncio.Event()

    def add(self, name: str, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Add a task; it runs until it is cancelled."""
        self._starts.append((name, task))

    def serve(
        self, app: Any, host: str, port: int, *, share_port: bool = False, on_stop: Callable[[], None] | None = None
    ) -> None:
        """Add an HTTP server; on stop it finishes the requests in progress. What their bodies took is given back.

        With `share_port`, processes of the same user that all say so listen on one port, and the system spreads the
        connections over them (SO_REUSEPORT). On stop, before the server waits for the requests in progress, `on_stop`
        ends those that would not end by themselves.
        """

        async def run() -> None:
            config = uvicorn.Config(
                app, host=host, port=port, log_config=None, access_log=False, ws="none", http=ClientConnection,
                h11_max_incomplete_event_size=MAX_HEAD, timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=5,
            )  # fmt: skip
            server = _Server(config)
            try:
                sockets = [shared_socket(host, port)] if share_port else None
            except (OSError, ValueError) as error:  # ValueError: a system without SO_REUSEPORT
                raise ConfigurationError(f"cannot listen on {host}:{port} with others: {error}") from error
            serving = asyncio.create_task(server.serve(sockets))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.should_exit = True
                if on_stop is not None:
                    on_stop()
                await serving
                raise
            raise ConfigurationError(f"cannot listen on {host}:{port}: is the port in use?")

        self.add("http", run)
        self.add("memory", lambda: repeat(TRIM_SECONDS, _trim))

    def follow_parent(self, pid: int | None) -> None:
        """Stop cleanly once the parent process is no longer `pid`, so that no service runs without its supervisor."""

        async def watch() -> None:
            while os.getppid() == pid:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(PARENT_SECONDS)
            self.stop()
            await asyncio.Event().wait()

        if pid is not None:
            self.add("parent", watch)

    def stop(self) -> None:
        """Ask for a clean stop."""
        self._stop.set()

    async def run(self) -> int:
        """Start everything, wait for SIGINT, SIGTERM or a fault, stop everything. Returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        tasks = {asyncio.create_task(start(), name=name): name for name, start in self._starts}
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            faults = [task for task in tasks if task.done()]
        finally:
            stopping.cancel()
            for task in reversed(list(tasks)):
                task.cancel()
                await asyncio.wait([task], timeout=STOP_SECONDS)
        for task in faults:
            error = None if task.cancelled() else task.exception()
            log.error("task ended", task=tasks[task], error=repr(error) if error else "returned", exc_info=error)
        return 1 if faults else 0


def shared_socket(host: str, port: int) -> socket.socket:
    """A listening socket on a port that others may share."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=True)


async def _trim() -> None:
    """Give free memory back to the system: glibc keeps what many requests at once have needed, for good."""
    with suppress(OSError, AttributeError):  # another C library
        await asyncio.to_thread(ctypes.CDLL(None).malloc_trim, 0)


async def repeat(seconds: float, action: Callable[[], Coroutine[Any, Any, Any]], *transient: type[Exception]) -> None:
    """Run `action` every `seconds` until cancelled.

    An error listed in `transient` is logged, and the action tried again after a wait that grows while it keeps failing,
    from `seconds` to `MAX_WAIT_SECONDS`. Any other error ends the loop.
    """
    backoff = Backoff(seconds, max(seconds, MAX_WAIT_SECONDS))
    while True:
        try:
            await action()
        except transient as error:
            wait = backoff.wait()
            name = getattr(action, "__qualname__", "?")
            log.warning("will try again", action=name, error=repr(error), seconds=round(wait, 1))
        else:
            backoff.reset()
            wait = seconds
        await asyncio.sleep(wait)
