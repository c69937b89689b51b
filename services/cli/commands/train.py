"""`secondlook train`: ask for a new bundle and follow the run."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from secondlook.cli.output import note, say
from secondlook.cli.terminal import errors, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.errors import NotFound
from secondlook.trainer.runs import Run, Runs

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 15.0
ENDED = ("promoted", "kept", "refused", "failed")


def train(
    finetune: Annotated[
        bool,
        typer.Option(
            "--finetune",
            help="Let the encoder learn too; needs `make setup-finetune` and 2,000 texts to fit.",
        ),
    ] = False,
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Ask the trainer for a new bundle; joins the run that is queued, if there is one.

    Without --finetune the trainer does what SECONDLOOK_TRAIN_MODE says. Set that, rather than fine-tune once: a head
    that is fitted later on the frozen encoder will seldom be as good as what was tuned. Promoted means that the gate
    let the bundle through, kept that the active one stays. Exit status 1 if the labels do not allow a model.
    """

    async def command() -> Run | None:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            runs = Runs(transactions.database)
            run_id = await runs.request("manual", transactions.clock.now(), "finetune" if finetune else None)
            if not wait:
                say(f"run {run_id} is queued")
                return None
            return await follow(runs, run_id)

    ended = run(command())
    if ended is not None:
        say(f"{ended.state}: {ended.detail or 'no reasons given'}")
        if ended.state in ("refused", "failed"):
            raise typer.Exit(1)


async def follow(runs: Runs, run_id: UUID) -> Run:
    """Print what a run does until it ended; interrupting this leaves the run alone.

    Raises:
        NotFound: the run is gone.
    """
    told, started, warned = "", time.monotonic(), False
    with errors.status("waiting for the trainer") as status:
        while True:
            current = await runs.get(run_id)
            if current is None:
                raise NotFound(f"run {run_id} is gone")
            if current.state in ENDED:
                return current
            news = f"{current.state}: {current.detail}" if current.detail else current.state
            if news != told:
                told = news
                status.update(Text(news))
                note(news)
            if current.state == "queued" and not warned and time.monotonic() - started > PATIENCE_SECONDS:
                warned = True
                note("still queued: is the trainer running, and is there a policy?")
            await asyncio.sleep(POLL_SECONDS)
