"""`secondlook bundle`: which bundles there are, which one is active, and what another one would change."""

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import fsspec
import typer

from secondlook.cli.output import say, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.replays import (
    ACCEPTED,
    AsJson,
    Last,
    Report,
    Show,
    Texts,
    describe,
    open_model,
    open_system,
    pick,
    present,
    remarks,
)
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.bundle.manifest import CARD, REPORT
from secondlook.common.errors import NotFound
from secondlook.router.replay.count import Fate, ReplayedItem, tally
from secondlook.router.replay.excerpt import newest
from secondlook.router.replay.score import read_texts, route_all
from secondlook.router.state import InForce
from secondlook.trainer.registry import BundleRow, Registry

Version = Annotated[str, typer.Argument(help="As `secondlook bundle list` shows it.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def bundle() -> None:
    """List, compare, promote and roll back bundles: model, calibration and thresholds in one."""


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
        typer.echo(json.dumps(dataclasses.asdict(await _find(data_dir, version)), indent=2, default=str))

    run(command())


@app.command()
def compare(
    version: Version,
    against: Annotated[str | None, typer.Option(help="Default: the active bundle.")] = None,
    last: Last = 1000,
    show: Show = 10,
    texts: Texts = False,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Replay the newest items under a bundle and another, by the policy in force, and show what would differ."""

    async def command() -> Report:
        async with open_system(data_dir) as system:
            rows, published = await system.registry.all(), await system.policies.active()
            if published is None:
                raise NotFound("no policy has been published yet: `secondlook policy apply FILE`")
            bundles = [_pick(rows, against), _pick(rows, version)]
            excerpt = await newest(system.bus, last)
            accepted = await system.pool.fetchval(ACCEPTED)
        fates: list[list[Fate]] = []
        notes: list[str] = []
        with TemporaryDirectory() as cache, Meter("classified") as meter:
            for row in bundles:
                model = open_model(row, Path(cache))
                covers = set(published.policy.labels) <= set(model.labels)
                force = InForce(published.policy, published.version, model if covers else None)
                notes += remarks(published.policy, row, force.thresholds)
                fates.append(route_all(excerpt.contents, force, partial(read_texts, force.model, meter.add)))
        items = [ReplayedItem(*each) for each in zip(excerpt.contents, *fates, strict=True)]
        before, after = (f"bundle {row.bundle_version} ({row.stage}), policy {published.version}" for row in bundles)
        return Report(
            before=before,
            after=after,
            replayed=describe(excerpt, len(items), accepted),
            notes=list(dict.fromkeys(notes)),
            tally=tally(items),
            shown=pick(items, show, texts),
        )

    present(run(command()), as_json)


def _pick(rows: Sequence[BundleRow], version: str | None) -> BundleRow:
    """The bundle of this version, or the active one."""
    for row in rows:
        if row.stage == "active" if version is None else row.bundle_version == version:
            return row
    if version is None:
        raise NotFound("no bundle is active; say which one to compare with: --against VERSION")
    raise NotFound(f"no bundle {version!r}; `secondlook bundle list` shows them")


@app.command()
def promote(
    version: Version,
    stage: Annotated[Literal["active", "canary", "shadow"], typer.Option(help="Where to put it.")] = "active",
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the content that a canary decides.")] = 0.05,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a bundle the active one, past the gate; or let it decide a share (canary), or only score (shadow)."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            await registry.promote(version, stage, share if stage == "canary" else 0.0)
        say(f"bundle {version} is {stage}; the routers take it up within seconds")

    run(command())


@app.command()
def clear(
    stage: Annotated[Literal["canary", "shadow"], typer.Argument(help="Which stage.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Take the bundle out of a stage; the active one decides everything again."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            version = await registry.step_back(stage)
        say(f"bundle {version} is no longer {stage}")

    run(command())


@app.command()
def report(
    version: Version,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a bundle's report (a page that needs nothing else) and its model card."""

    async def command() -> None:
        found = await _find(data_dir, version)
        files, path = fsspec.core.url_to_fs(found.uri)
        for name in (REPORT, CARD):
            target = output / f"{version}-{name}"
            try:
                content = files.cat_file(f"{path.rstrip('/')}/{name}")
            except OSError as error:
                raise NotFound(f"bundle {version} has no {name}: it was made without one, or is removed") from error
            output.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            say(f"wrote {target}")

    run(command())


@app.command()
def rollback(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Go back to the bundle that was active before."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            version = await registry.rollback()
        say(f"bundle {version} is active again; the routers take it up within seconds")

    run(command())


async def _find(data_dir: Path, version: str) -> BundleRow:
    async with _registry(data_dir) as registry:
        found = [row for row in await registry.all() if row.bundle_version == version]
    if not found:
        raise NotFound(f"no bundle {version!r}; `secondlook bundle list` shows them")
    return found[0]


@asynccontextmanager
async def _registry(data_dir: Path) -> AsyncIterator[Registry]:
    async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
        yield Registry(transactions.database, transactions)
