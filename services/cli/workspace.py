"""Where the commands find a running Second Look: the environment, or what `secondlook up` left behind."""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.markup import escape

from secondlook.common.bus.transport import open_bus
from secondlook.common.clock import SystemClock
from secondlook.common.errors import ConfigurationError, SecondLookError
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings

Result = TypeVar("Result")
DEFAULT_DATA_DIR = Path(".secondlook")
NOT_MIGRATED = ("3F000", "42P01", "42703")  # no such schema, table, column

# What is wrong with a path, as a person says it; the system's own words for the rest.
PATH_TROUBLE = {
    errno.EEXIST: "is not a directory",  # what mkdir says of a file
    errno.ENOTDIR: "is not a directory, or lies below a file",
    errno.EISDIR: "is a directory, not a file",
    errno.EACCES: "may not be used by this user",
    errno.EPERM: "may not be used by this user",
    errno.ENAMETOOLONG: "is too long",
    errno.ELOOP: "is a link to itself",
    errno.ENOENT: "cannot be made or does not exist",
}
LONGEST_PATH = 300  # as far as it is shown

console = Console()
errors = Console(stderr=True)


def _data_dir(value: str | Path) -> Path:
    if not str(value).strip():
        _fail("--data-dir is empty: name a directory")
    return Path(value)


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="SECONDLOOK_DATA_DIR",
        metavar="PATH",
        parser=_data_dir,
        help="Data directory of `secondlook up`.",
    ),
]


class NotRunning(ConfigurationError):
    """Nothing tells where a running system is."""


class Workspace(BaseModel):
    """A running system: `run.json` of a data directory. Keys are by role: upstream, reviewer, lead."""

    model_config = ConfigDict(frozen=True)
    database_url: str
    api_url: str = "http://127.0.0.1:8000"
    router_url: str = "http://127.0.0.1:8001"
    trainer_url: str = "http://127.0.0.1:8002"
    bus: Literal["postgres", "kafka"] = "postgres"
    kafka_bootstrap: str = ""
    keys: dict[str, str] = {}

    def write(self, data_dir: Path) -> None:
        """Leave it for other commands, readable by the owner alone."""
        path = data_dir / "run.json"
        path.touch(mode=0o600)
        path.write_text(self.model_dump_json(indent=2), encoding="utf-8")


def find_workspace(data_dir: Path, database_url: str | None = None) -> Workspace:
    """The running system.

    What is given comes first, then `SECONDLOOK_DATABASE_URL`, `SECONDLOOK_BUS`, `SECONDLOOK_KAFKA_BOOTSTRAP`,
    `SECONDLOOK_API_URL`, `SECONDLOOK_ROUTER_URL` and `SECONDLOOK_API_KEY`, then the data directory.

    Raises:
        NotRunning: neither tells where the system is.
        ConfigurationError: the data directory cannot be used, or its `run.json` is damaged.
    """
    path = data_dir / "run.json"
    found: dict[str, Any] = {}
    try:
        found = Workspace.model_validate_json(path.read_bytes()).model_dump()
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        raise ConfigurationError(f"{data_dir} {PATH_TROUBLE[errno.ENOTDIR]}") from error
    except OSError as error:
        raise ConfigurationError(path_trouble(error)) from error
    except ValidationError as error:
        raise ConfigurationError(f"{path} is damaged; start `secondlook up` again") from error
    for name in ("database_url", "api_url", "router_url", "trainer_url", "bus", "kafka_bootstrap"):
        if value := os.environ.get(f"SECONDLOOK_{name.upper()}"):
            found[name] = value
    if key := os.environ.get("SECONDLOOK_API_KEY"):
        found["keys"] = {role: key for role in ("upstream", "reviewer", "lead")}
    if database_url:
        found["database_url"] = database_url
    if "database_url" not in found:
        raise NotRunning(f"no running system in {data_dir}: start `secondlook up`, or set SECONDLOOK_DATABASE_URL")
    try:
        return Workspace(**found)
    except ValidationError as error:
        raise ConfigurationError(f"SECONDLOOK_BUS is {found['bus']!r}, and may be postgres or kafka") from error


def common_settings(workspace: Workspace) -> CommonSettings:
    """The settings that the services share, for this system; what the workspace does not know is in the environment.

    Raises:
        ConfigurationError: names each variable that is wrong.
    """
    return CommonSettings.load(
        database_url=workspace.database_url, bus=workspace.bus, kafka_bootstrap=workspace.kafka_bootstrap
    )


@asynccontextmanager
async def service_transactions(workspace: Workspace, schema: str) -> AsyncIterator[Transactions]:
    """Units of work in the schema of one service, for commands that administer it."""
    async with Database.open(workspace.database_url, schema, size=2) as database:
        bus = open_bus(common_settings(workspace), database)
        yield Transactions(database, bus, SystemClock(), f"cli-{schema}")


def run(command: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's coroutine; see `guarded`."""
    return guarded(lambda: asyncio.run(command))


def guarded(action: Callable[[], Result]) -> Result:
    """Run a command. What it cannot do is one line on standard error and exit status 2, Ctrl-C is 130."""
    try:
        return action()
    except (KeyboardInterrupt, asyncio.CancelledError):
        errors.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # the reader of the pipe has enough
        raise
    except SecondLookError as error:
        _fail(str(error))
    except TRANSIENT as error:
        if isinstance(error, OSError) and error.filename is not None:
            _fail(path_trouble(error))
        _fail(f"{type(error).__name__}: {error}")
    except Exception as error:
        if getattr(error, "sqlstate", None) not in NOT_MIGRATED:
            raise
        _fail("the database is not up to date: run `secondlook migrate`")


def path_trouble(error: OSError) -> str:
    """What is wrong with the path that an error names, without the error's number and class."""
    path = str(error.filename)
    path = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"
    known = PATH_TROUBLE.get(error.errno or 0)
    return f"{path} {known}" if known else f"{path} cannot be used: {error.strerror}"


def _fail(message: str) -> NoReturn:
    errors.print(f"[red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(2)
