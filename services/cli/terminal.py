"""The terminal: where commands print, and how they exit when something fails."""

import asyncio
import errno
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from secondlook.common.errors import SecondLookError
from secondlook.common.observability import configure_command
from secondlook.common.postgres import TRANSIENT
from secondlook.common.printable import printable

T = TypeVar("T")
NOT_MIGRATED = ("3F000", "42P01", "42703")  # no such schema, table, column

# Why a path cannot be used, in plain words; other errors keep the system's.
PATH_TROUBLE = {
    errno.EEXIST: "is not a directory",  # from mkdir, where a file exists
    errno.ENOTDIR: "is not a directory, or lies below a file",
    errno.EISDIR: "is a directory, not a file",
    errno.EACCES: "cannot be used: permission denied",
    errno.EPERM: "cannot be used: permission denied",
    errno.ENAMETOOLONG: "is too long",
    errno.ELOOP: "is a link to itself",
    errno.ENOENT: "does not exist, or cannot be created",
}
LONGEST_PATH = 300  # characters of a path that are shown


class _Status(Status):
    def update(self, status: RenderableType | None = None, **options: Any) -> None:
        super().update(_shown(status) if isinstance(status, str) else status, **options)


class Terminal(Console):
    """A console that shows every string as it is written: brackets are no markup, and controls are escaped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(_shown(each) if isinstance(each, str) else each for each in objects), **options)

    def status(self, status: RenderableType, **options: Any) -> Status:
        return _Status(_shown(status) if isinstance(status, str) else status, console=self, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, keep="\n"), **options)


def _shown(text: str) -> Text:
    return Text(printable(text, keep="\n"))


console = Terminal()
errors = Terminal(stderr=True)


def run(command: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine as `guarded` does."""
    return guarded(lambda: asyncio.run(command))


def guarded(action: Callable[[], T]) -> T:
    """Run a command. An expected error is one line on standard error and exit status 2; Ctrl-C exits with 130."""
    configure_command()
    try:
        return action()
    except (KeyboardInterrupt, asyncio.CancelledError):
        errors.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # the reader of the pipe has closed it
        raise
    except SecondLookError as error:
        fail(str(error))
    except (OSError, *TRANSIENT) as error:
        if isinstance(error, OSError) and error.filename is not None:
            fail(path_trouble(error))
        fail(f"{type(error).__name__}: {error}")
    except Exception as error:
        if getattr(error, "sqlstate", None) not in NOT_MIGRATED:
            raise
        fail("the database is not up to date: run `secondlook migrate`")


def path_trouble(error: OSError) -> str:
    """A sentence about the path that an error names, without the error's number and class."""
    path = str(error.filename)
    path = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"
    known = PATH_TROUBLE.get(error.errno or 0)
    return f"{path} {known}" if known else f"{path} cannot be used: {error.strerror}"


def fail(message: str) -> NoReturn:
    errors.print(Text.assemble(("error:", "red"), f" {printable(message)}"), soft_wrap=True)
    sys.exit(2)
