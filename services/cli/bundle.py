"""`secondlook bundle`: which bundles there are, and which one is active."""

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import say, show_table
from services.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, run, service_transactions
from services.common.errors import NotFound
from services.trainer.registry import Registry

Version = Annotated[str, typer.Argument(help="As `secondlook bundle list` shows it.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def bundle() -> None:
    """List, promote and roll back bundles: model, calibration and thresholds in one."""


@app.command("list")
def list_bundles(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """All bundles, newest first."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            rows = await registry.all()
        show_table(
            ("bundle", "stage", "policy", "created", "promoted", "files"),
            [
                (row.bundle_version, row.stage, row.policy_version, row.created_at, row.promoted_at,
                 "removed" if row.removed_at else "kept")
                for row in rows
            ],
            "no bundles yet: the trainer makes the first one when there is a policy",
        )  # fmt: skip

    run(command())


@app.command()
def show(version: Version, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """One bundle as JSON: its labels, its metrics, and why the gate let it through or did not."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            found = [row for row in await registry.all() if row.bundle_version == version]
        if not found:
            raise NotFound(f"no bundle {version!r}; `secondlook bundle list` shows them")
        typer.echo(json.dumps(dataclasses.asdict(found[0]), indent=2, default=str))

    run(command())


@app.command()
def promote(version: Version, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Make a bundle the active one, past the gate."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            await registry.promote(version)
        say(f"bundle {version} is active; the routers take it up within seconds")

    run(command())


@app.command()
def rollback(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Go back to the bundle that was active before."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            version = await registry.rollback()
        say(f"bundle {version} is active again; the routers take it up within seconds")

    run(command())


@asynccontextmanager
async def _registry(data_dir: Path) -> AsyncIterator[Registry]:
    async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
        yield Registry(transactions.database, transactions)
