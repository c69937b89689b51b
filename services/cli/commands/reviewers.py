"""`secondlook reviewers`: how far each reviewer agrees with the others, and how good they are likely to be."""

import dataclasses
import json
from typing import Annotated

import typer

from secondlook.cli.output import show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.trainer.data.quality import Estimate, Judgement, ReviewerQuality, reviewer_quality

# Second looks are left out: they are asked for where an answer looks wrong, so they would make everybody look worse.
JUDGEMENTS = """
SELECT source || '/' || content_id || '/' || revision AS item, reviewer, labels FROM (
    SELECT l.* FROM trainer.label l LEFT JOIN trainer.second_look USING (source, content_id, revision)
    WHERE labels <> '{}' AND (labelled_at > asked_at) IS NOT TRUE ORDER BY received DESC LIMIT $1) AS newest
ORDER BY received
"""


def reviewers(
    last: Annotated[int, typer.Option(min=1, help="How many of the newest judgements count.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Agreement with the majority of the others, and by Dawid and Skene's model how often a yes and a no are right.

    Only items that several people judged say anything about a reviewer.
    """

    async def command() -> tuple[ReviewerQuality, ...]:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            rows = await transactions.database.pool.fetch(JUDGEMENTS, last)
        judged = [Judgement(row["item"], row["reviewer"], row["labels"]) for row in rows]
        return reviewer_quality(judged).reviewers

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


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"
