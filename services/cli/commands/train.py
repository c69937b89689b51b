"""`secondlook train`: ask the trainer for a new bundle and follow the run."""

import asyncio
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from secondlook.cli.files.names import unknown_label
from secondlook.cli.gate import show_reasons
from secondlook.cli.output import note, say
from secondlook.cli.terminal import errors, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.errors import NotFound
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.runs import Run, Runs

POLL_SECONDS = 0.5
STORED_LABELS = """
SELECT name, count(*) AS count FROM trainer.stored_label, jsonb_object_keys(labels) AS name GROUP BY name ORDER BY name
"""
PATIENCE_SECONDS = 15.0
ENDED = ("promoted", "kept", "refused", "failed")


def train(
    finetune: Annotated[
        bool,
        typer.Option(
            "--finetune",
            help="Also train the encoder; needs the extra `finetune` and 2,000 labelled texts.",
        ),
    ] = False,
    wait: Annotated[bool, typer.Option(help="Follow the run until it ends.")] = True,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Ask the trainer for a new bundle, or join the run that is already queued.

    Without --finetune, SECONDLOOK_TRAIN_MODE decides what to train. To fine-tune regularly, set that variable: a later
    run that trains only the head on the original encoder will seldom be as good as a fine-tuned bundle.

    A run ends as promoted (the gate passed the bundle and it is active), kept (the old bundle stays active), refused
    (the labels do not allow a model) or failed. Exit status 1 if it is refused or failed.
    """

    async def command() -> tuple[Run, BundleRow | None] | None:
        await _say_what_is_left_out(data_dir)
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            runs = Runs(transactions.database)
            run_id = await runs.request("manual", transactions.clock.now(), "finetune" if finetune else None)
            if not wait:
                say(f"run {run_id} is queued")
                return None
            ended = await follow(runs, run_id)
            bundles = await Registry(transactions.database, transactions).all()
            return ended, next((row for row in bundles if row.bundle_version == ended.bundle_version), None)

    if (followed := run(command())) is None:
        return
    ended, bundle = followed
    if bundle is None:
        say(f"{ended.state}: {ended.detail or 'no reasons given'}")
    else:
        say(f"{ended.state}: bundle {bundle.bundle_version}")
        show_reasons(bundle.reasons)
    if ended.state in ("refused", "failed"):
        raise typer.Exit(1)


async def _say_what_is_left_out(data_dir: Path) -> None:
    """Name the labels that people gave and the policy in force lacks."""
    workspace = find_workspace(data_dir)
    async with service_transactions(workspace, "reviewer") as transactions:
        in_force = await PolicyService(transactions).active()
        if in_force is None:
            return
        for row in await transactions.database.pool.fetch(STORED_LABELS):
            if row["name"] not in in_force.policy.labels:
                note(unknown_label(row["name"], row["count"], in_force.policy.labels), "yellow")


async def follow(runs: Runs, run_id: UUID) -> Run:
    """Print the progress of a run until it ends; the run continues if this is interrupted.

    Raises:
        NotFound: the run does not exist.
    """
    told, started, warned = "", time.monotonic(), False
    with errors.status("waiting for the trainer") as status:
        while True:
            current = await runs.get(run_id)
            if current is None:
                raise NotFound(f"run {run_id} no longer exists")
            if current.state in ENDED:
                return current
            news = f"{current.state}: {current.detail}" if current.detail else current.state
            if news != told:
                told = news
                status.update(news)
                note(news)
            if current.state == "queued" and not warned and time.monotonic() - started > PATIENCE_SECONDS:
                warned = True
                note("still queued: check that the trainer is running and that a policy is in force")
            await asyncio.sleep(POLL_SECONDS)
