"""Where the commands find a running Second Look: the environment, or what `secondlook up` left behind."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.markup import escape

from services.common.bus.postgres import PostgresBus
from services.common.clock import SystemClock
from services.common.errors import ConfigurationError, SecondLookError
from services.common.postgres import TRANSIENT, Database
from services.common.unit_of_work import Transactions

Result = TypeVar("Result")
DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="SECONDLOOK_DATA_DIR", help="Data directory of `secondlook up`.")
]
DEFAULT_DATA_DIR = Path(".secondlook")
NOT_MIGRATED = ("3F000", "42P01", "42703")  # no such schema, table, column

console = Console()
errors = Console(stderr=True)


class Workspace(BaseModel):
    """A running system: `run.json` of a data directory. Keys are by role: upstream, reviewer, lead."""

    model_config = ConfigDict(frozen=True)
    database_url: str
    api_url: str = "http://127.0.0.1:8000"
    router_url: str = "http://127.0.0.1:8001"
    trainer_url: str = "http://127.0.0.1:8002"
    keys: dict[str, str] = {}

    def write(self, data_dir: Path) -> None:
        """Leave it for other commands, readable by the owner alone."""
        path = data_dir / "run.json"
        path.touch(mode=0o600)
        path.write_text(self.model_dump_json(indent=2), encoding="utf-8")


def find_workspace(data_dir: Path) -> Workspace:
    """The running system.

    `SECONDLOOK_DATABASE_URL`, `SECONDLOOK_API_URL`, `SECONDLOOK_ROUTER_URL` and `SECONDLOOK_API_KEY` come first, then
    the data directory.

    Raises:
        ConfigurationError: neither tells where the system is.
    """
    path = data_dir / "run.json"
    found: dict[str, Any] = {}
    if path.exists():
        try:
            found = Workspace.model_validate_json(path.read_bytes()).model_dump()
        except ValidationError as error:
            raise ConfigurationError(f"{path} is damaged; start `secondlook up` again") from error
    for name in ("database_url", "api_url", "router_url", "trainer_url"):
        if value := os.environ.get(f"SECONDLOOK_{name.upper()}"):
            found[name] = value
    if key := os.environ.get("SECONDLOOK_API_KEY"):
        found["keys"] = {role: key for role in ("upstream", "reviewer", "lead")}
    if "database_url" not in found:
        raise ConfigurationError(
            f"no running system in {data_dir}: start `secondlook up`, or set SECONDLOOK_DATABASE_URL"
        )
    return Workspace(**found)


@asynccontextmanager
async def service_transactions(workspace: Workspace, schema: str) -> AsyncIterator[Transactions]:
    """Units of work in the schema of one service, for commands that administer it."""
    async with Database.open(workspace.database_url, schema, size=2) as database:
        yield Transactions(database, PostgresBus(database), SystemClock(), f"cli-{schema}")


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
        _fail(f"{type(error).__name__}: {error}")
    except Exception as error:
        if getattr(error, "sqlstate", None) not in NOT_MIGRATED:
            raise
        _fail("the database is not up to date: run `secondlook migrate`")


def _fail(message: str) -> NoReturn:
    errors.print(f"[red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(2)
