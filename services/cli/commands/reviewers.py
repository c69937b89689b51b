"""`secondlook reviewers`: how well each reviewer agrees with the others, and how reliable they probably are."""

import dataclasses
import json
from typing import Annotated

import typer

from secondlook.cli.output import show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.trainer.data.quality import EstimatedShare, ReviewerQuality, reviewer_quality
from secondlook.trainer.quality.repository import ratings


def reviewers(
    last: Annotated[int, typer.Option(min=1, help="How many answers to count, newest first.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show how often each reviewer agrees with the majority of the others, and how reliable their answers are.

    Sensitivity and specificity estimate how often a reviewer finds a label that applies, and how often they leave out
    one that does not (by Dawid and Skene's model). Only items that several people reviewed count.
    """

    async def command() -> tuple[ReviewerQuality, ...]:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            return reviewer_quality(await ratings(transactions.database.pool, last)).reviewers

    found = run(command())
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    show_table(
        ("reviewer", "judged", "agreement", "label", "compared", "sensitivity", "specificity"),
        [
            (one.reviewer, one.n, "" if one.agreement is None else f"{one.agreement:.3f}", label, quality.n,
             *(map(_shown, (quality.sensitivity, quality.specificity)) if quality.n else ("", "")))
            for one in found
            for label, quality in sorted(one.labels.items())
        ],
        "no judgements yet",
    )  # fmt: skip


def _shown(estimate: EstimatedShare) -> str:
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"
