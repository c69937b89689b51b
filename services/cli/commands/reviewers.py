"""`secondlook reviewers`: how well each reviewer agrees with the others, and how reliable they probably are."""

import dataclasses
import json
from typing import Annotated

import typer

from secondlook.cli.output import show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.trainer.data.quality import EstimatedShare, Judgement, ReviewerQuality, reviewer_quality

# Without second looks: the trainer asks for them where an answer looks wrong, so everybody would look worse.
JUDGEMENTS = """
SELECT source || '/' || content_id || '/' || revision AS item, reviewer, labels FROM (
    SELECT l.* FROM trainer.label l LEFT JOIN trainer.second_look USING (source, content_id, revision)
    WHERE labels <> '{}' AND (labelled_at > asked_at) IS NOT TRUE ORDER BY received DESC LIMIT $1) AS newest
ORDER BY received
"""


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


def _shown(estimate: EstimatedShare) -> str:
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"
