"""Where the commands find a running Second Look: the environment, or what `secondlook up` left behind."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import mkstemp
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from secondlook.cli.terminal import PATH_TROUBLE, fail, path_trouble
from secondlook.common.bus.transport import open_bus
from secondlook.common.clock import SystemClock
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Database, refuse_newer_schemas
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.settings import CommonSettings

DEFAULT_DATA_DIR = Path(".secondlook")
SIGNING_KEY = "signing-key"  # file in the data directory


def _data_dir(value: str | Path) -> Path:
    if not str(value).strip():
        fail("--data-dir is empty: name a directory")
    return Path(value)


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="SECONDLOOK_DATA_DIR",
        metavar="PATH",
        parser=_data_dir,
        help="Data directory that `secondlook up` uses.",
    ),
]


class NotRunning(ConfigurationError):
    """Neither the environment nor the data directory names a running system."""


class Workspace(BaseModel):
    """A running system, as `run.json` in a data directory describes it. Roles of `keys`: upstream, reviewer, lead."""

    model_config = ConfigDict(frozen=True)
    database_url: str
    api_url: str = "http://127.0.0.1:8000"
    router_url: str = "http://127.0.0.1:8001"
    trainer_url: str = "http://127.0.0.1:8002"
    bus: Literal["postgres", "kafka"] = "postgres"
    kafka_bootstrap: str = ""
    keys: dict[str, str] = {}
    signing_key: SecretStr = Field(SecretStr(""), exclude=True)  # lies in a file of its own

    def write(self, data_dir: Path) -> None:
        """Write `run.json` for other commands; only the owner can read it."""
        path = data_dir / "run.json"
        path.touch(mode=0o600)
        path.chmod(0o600)  # also where somebody has loosened or copied it
        path.write_text(self.model_dump_json(indent=2), encoding="utf-8")


def read_signing_key(data_dir: Path) -> SecretStr:
    """The keys that `secondlook up` made, or a person put there, one a line or with commas between; empty without any.

    Raises:
        ConfigurationError: they cannot be read.
    """
    try:
        listed = (data_dir / SIGNING_KEY).read_text(encoding="utf-8")
    except FileNotFoundError:
        return SecretStr("")
    except OSError as error:
        raise ConfigurationError(path_trouble(error)) from error
    return SecretStr(",".join(listed.replace(",", " ").split()))


def make_signing_key(data_dir: Path) -> SecretStr:
    """The keys of a data directory, made if there are none; only the owner can read the file."""
    if known := read_signing_key(data_dir):
        return known
    key = token_hex(32)
    descriptor, path = mkstemp(dir=data_dir, prefix=f".{SIGNING_KEY}-")  # of mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(descriptor)
    Path(path).replace(data_dir / SIGNING_KEY)
    return SecretStr(key)


def find_workspace(data_dir: Path, database_url: str | None = None) -> Workspace:
    """Find the running system.

    The arguments come first, then `SECONDLOOK_DATABASE_URL`, `SECONDLOOK_BUS`, `SECONDLOOK_KAFKA_BOOTSTRAP`,
    `SECONDLOOK_API_URL`, `SECONDLOOK_ROUTER_URL` and `SECONDLOOK_API_KEY`, then the data directory. The keys that sign
    are those of `SECONDLOOK_SIGNING_KEY`, else of the data directory if that names the database.

    Raises:
        NotRunning: none of them names a database.
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
    ours = found.get("database_url")
    for name in ("database_url", "api_url", "router_url", "trainer_url", "bus", "kafka_bootstrap"):
        if value := os.environ.get(f"SECONDLOOK_{name.upper()}"):
            found[name] = value
    if key := os.environ.get("SECONDLOOK_API_KEY"):
        found["keys"] = {role: key for role in ("upstream", "reviewer", "lead")}
    if database_url:
        found["database_url"] = database_url
    if "database_url" not in found:
        raise NotRunning(f"no running system in {data_dir}: start `secondlook up`, or set SECONDLOOK_DATABASE_URL")
    if not os.environ.get("SECONDLOOK_SIGNING_KEY") and found["database_url"] == ours:
        found["signing_key"] = read_signing_key(data_dir)
    try:
        return Workspace(**found)
    except ValidationError as error:
        raise ConfigurationError(f"SECONDLOOK_BUS is {found['bus']!r}; it must be postgres or kafka") from error


def common_settings(workspace: Workspace) -> CommonSettings:
    """The settings that all services share: the workspace's, and for the rest the environment's.

    Raises:
        ConfigurationError: names each variable that is wrong.
    """
    known = {"signing_key": workspace.signing_key} if workspace.signing_key else {}
    return CommonSettings.load(
        database_url=workspace.database_url, bus=workspace.bus, kafka_bootstrap=workspace.kafka_bootstrap, **known
    )


@asynccontextmanager
async def service_transactions(workspace: Workspace, schema: str) -> AsyncIterator[Transactions]:
    """Units of work in the schema of one service, for commands that administer it.

    Raises:
        NewerDatabase: a newer version has migrated a schema of the database, this one or another.
    """
    async with Database.open(workspace.database_url, schema, size=2) as database:
        await refuse_newer_schemas(database.pool)
        bus = open_bus(common_settings(workspace), database)
        yield Transactions(database, bus, SystemClock(), f"cli-{schema}")
