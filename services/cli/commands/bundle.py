"""`secondlook bundle`: list, compare, promote and roll back bundles."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from secondlook.cli.gate import show_metrics, show_reasons
from secondlook.cli.output import cell, note, say, show_json, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.replays import (
    ACCEPTED,
    AsJson,
    Last,
    Report,
    Show,
    Texts,
    as_routed,
    describe,
    open_model,
    open_system,
    pick,
    present,
    remarks,
)
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.bundle.files import read_manifest
from secondlook.common.bundle.manifest import CARD, REPORT
from secondlook.common.bundle.reading import FILE_BYTES, reader
from secondlook.common.bundle.sides import by_side, held_back
from secondlook.common.contract.policy import Policy
from secondlook.common.errors import BundleRejected, BundleUnreachable, NotFound
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.replay.count import Fate, ReplayedItem, tally
from secondlook.router.replay.excerpt import newest
from secondlook.router.replay.score import read_contents, route_all
from secondlook.router.state import InForce
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.stages import BundleStage

Version = Annotated[str, typer.Argument(help="Bundle version, from `secondlook bundle list`.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def bundle() -> None:
    """List, compare, promote and roll back bundles. A bundle is a model with its calibration and thresholds."""


@app.command("list")
def list_bundles(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List all bundles, newest first."""

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
            "no bundles yet: the trainer makes the first one once a policy is in force",
        )  # fmt: skip

    run(command())


@app.command()
def show(version: Version, as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show a bundle: its labels and metrics, and every check of the gate, those that it failed first."""

    async def command() -> tuple[BundleRow, dict[str, str] | str]:
        row = await _find(data_dir, version)
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            published = await PolicyService(transactions).active()
        return row, _side_states(published.policy if published else None, row)

    found, states = run(command())
    if as_json:
        show_json({**dataclasses.asdict(found), "sides": states})
        return
    say(f"bundle {found.bundle_version}, {found.stage}, policy {found.policy_version}, made {cell(found.created_at)}")
    if found.promoted_at is not None:
        say(f"promoted {cell(found.promoted_at)}")
    files = f"removed {cell(found.removed_at)}, but for the report" if found.removed_at else found.uri
    say(f"files: {files}")
    if isinstance(states, str):
        say(states)
    else:
        show_table(("certified side", "under the policy in force"), list(states.items()), "no side is certified")
    show_metrics(found)
    show_reasons(found.reasons)


@app.command()
def compare(
    version: Version,
    against: Annotated[str | None, typer.Option(help="Bundle to compare with. Default: the active one.")] = None,
    last: Last = 1000,
    show: Show = 10,
    texts: Texts = False,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show which routes and scores differ between two bundles.

    Replays the newest items under each of them, by the policy in force. Changes nothing.
    """

    async def command() -> Report:
        async with open_system(data_dir) as system:
            rows, published = await system.registry.all(), await system.policies.active()
            if published is None:
                raise NotFound("no policy has been published yet: `secondlook policy apply FILE`")
            bundles = [_pick(rows, against), _pick(rows, version)]
            excerpt = await newest(system.bus, last)
            excerpt = await as_routed(system.pool, excerpt)
            accepted = await system.pool.fetchval(ACCEPTED)
        fates: list[list[Fate]] = []
        notes: list[str] = []
        with TemporaryDirectory() as cache, Meter("classified") as meter:
            for row in bundles:
                model = open_model(row, Path(cache))
                covers = set(published.policy.labels) <= set(model.labels)
                force = InForce(published.policy, published.version, model if covers else None)
                notes += remarks(published.policy, row, force.thresholds, force.held_back)
                read = partial(read_contents, force.model, meter.add)
                fates.append(route_all(excerpt.contents, force, read, system.secret))
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
    """The bundle of this version; without a version the active one."""
    for row in rows:
        if row.stage == "active" if version is None else row.bundle_version == version:
            return row
    if version is None:
        raise NotFound("no bundle is active; say which one to compare with: --against VERSION")
    raise NotFound(f"there is no bundle {version!r}; see `secondlook bundle list`")


@app.command()
def promote(
    version: Version,
    stage: Annotated[Literal["active", "canary", "shadow"], typer.Option(help="Stage to promote it to.")] = "active",
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the content that a canary decides.")] = 0.05,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a bundle active, canary or shadow.

    An active bundle decides everything, even if the gate refused it. A canary decides a share of the content, and a
    shadow only scores content.
    """

    async def command() -> None:
        async with _registry(data_dir) as registry:
            for row in await registry.all():
                if row.bundle_version == version and row.removed_at is None:
                    _ensure_readable(row)
            await registry.promote(version, BundleStage(stage), share if stage == "canary" else 0.0)
        say(f"bundle {version} is {stage}; routers switch to it within seconds")

    run(command())


@app.command()
def clear(
    stage: Annotated[Literal["canary", "shadow"], typer.Argument(help="Stage to clear.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Remove the canary or shadow bundle. The active bundle decides everything again."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            version = await registry.step_back(BundleStage(stage))
        say(f"bundle {version} is no longer {stage}")

    run(command())


@app.command()
def report(
    version: Version,
    output: Annotated[Path, typer.Option(help="Folder to write the files to.")] = Path(),
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a bundle's report and its model card. The report is one self-contained HTML page."""

    async def command() -> None:
        found = await _find(data_dir, version)
        for name in (REPORT, CARD):
            target = output / f"{version}-{name}"
            try:
                content = b"".join(reader(found.uri)(name, FILE_BYTES))
            except (OSError, BundleUnreachable) as error:
                raise NotFound(
                    f"bundle {version} has no {name}: it was stored without one, or its files were removed"
                ) from error
            output.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            say(f"wrote {target}")

    run(command())


@app.command()
def rollback(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Reactivate the bundle that was active before."""

    async def command() -> None:
        async with _registry(data_dir) as registry:
            if (previous := await registry.previous()) is not None:
                _ensure_readable(previous)
            version = await registry.rollback()
        say(f"bundle {version} is active again; routers switch to it within seconds")

    run(command())


def _ensure_readable(bundle: BundleRow) -> None:
    """Check that this version can read a bundle; one whose store only other machines reach passes, with a note.

    Raises:
        BundleRejected: it is damaged, or of another format: the routers would keep the bundle that they have.
    """
    with TemporaryDirectory() as cache:
        try:
            read_manifest(bundle.uri, bundle.sha256, Path(cache))
        except BundleUnreachable as error:
            note(f"not checked: {error}")


async def _find(data_dir: Path, version: str) -> BundleRow:
    async with _registry(data_dir) as registry:
        found = [row for row in await registry.all() if row.bundle_version == version]
    if not found:
        raise NotFound(f"there is no bundle {version!r}; see `secondlook bundle list`")
    return found[0]


def _side_states(policy: Policy | None, row: BundleRow) -> dict[str, str] | str:
    """For each certified side whether it decides, or why not; a sentence if nobody can tell."""
    if row.removed_at is not None:
        return "the files of the bundle were removed"
    with TemporaryDirectory() as cache:
        try:
            manifest = read_manifest(row.uri, row.sha256, Path(cache))
        except BundleRejected as error:
            return str(error)
    off = held_back(policy, manifest.thresholds, manifest.labels) if policy is not None else {}
    return {
        str(side): f"off: {off[side]}" if side in off else f"on, at {on.threshold:g}"
        for side, on in by_side(manifest.thresholds).items()
    }


@asynccontextmanager
async def _registry(data_dir: Path) -> AsyncIterator[Registry]:
    async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
        yield Registry(transactions.database, transactions)
