"""One of a thing for all processes of a test run: the first that wants it starts it and stops it after the last."""

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")


@contextmanager
def shared(folder: Path, name: str, start: Callable[[], AbstractContextManager[Value]]) -> Iterator[Value]:
    """What `start` gives, for the block: made by one process, a picklable copy of it for all others.

    `folder` is common to all processes of the run. The process that started the thing leaves its block only when no
    other process is in one, so that nobody loses it. A process that dies counts as gone; whether the thing survives
    the death of the process that started it is up to the thing.
    """
    value_at = folder / name
    with (folder / f"{name}.users").open("w") as users, (folder / f"{name}.start").open("w") as starting:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(starting, fcntl.LOCK_EX)
        if value_at.exists():
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield pickle.loads(value_at.read_bytes())  # noqa: S301
            return
        with start() as value:
            ready = folder / f"{name}.{os.getpid()}"
            ready.write_bytes(pickle.dumps(value))
            ready.rename(value_at)
            fcntl.flock(starting, fcntl.LOCK_UN)
            try:
                yield value
            finally:
                fcntl.flock(users, fcntl.LOCK_EX)  # once the last user has gone; newcomers wait, and start another
                value_at.unlink()
