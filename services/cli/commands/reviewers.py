"""`secondlook reviewers`: how well each reviewer agrees with the others, and how reliable they probably are."""

from typing import Annotated

import typer

from secondlook.cli.measured import NOTHING_YET, newest_figures
from secondlook.cli.output import note, show_json, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.quality import MeasuredRate, MeasuredReliability, MeasuredReviewer


def reviewers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show how often each reviewer agrees with the majority of the others, and how reliable their answers are.

    Sensitivity and specificity estimate how often a reviewer finds a label that applies, and how often they leave out
    one that does not (by Dawid and Skene's model). Only items that several people reviewed count. These are the figures
    that the trainer measured last, over the newest judgements.
    """

    async def command() -> list[MeasuredReviewer]:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            measured = await newest_figures(transactions.database.pool)
        if measured is None:
            note(NOTHING_YET)
            return []
        return sorted(measured.reviewers, key=lambda one: one.reviewer)

    found = run(command())
    if as_json:
        show_json([_document(one) for one in found])
        return
    show_table(
        ("reviewer", "judged", "agreement", "label", "compared", "sensitivity", "specificity"),
        [
            (one.reviewer, one.n, "" if one.agreement is None else f"{one.agreement:.3f}", *_reliability(label))
            for one in found
            for label in one.labels or (None,)
        ],
        "no judgements yet",
    )


def _document(reviewer: MeasuredReviewer) -> dict[str, object]:
    labels = {label.label: label.model_dump(mode="json", exclude={"label"}) for label in reviewer.labels}
    return {**reviewer.model_dump(mode="json"), "labels": labels}


def _reliability(label: MeasuredReliability | None) -> tuple[object, ...]:
    if label is None:  # the trainer lists labels of the busiest reviewers only
        return "", "", "", ""
    shown = map(_shown, (label.sensitivity, label.specificity)) if label.n else ("", "")
    return (label.label, label.n, *shown)


def _shown(rate: MeasuredRate) -> str:
    return f"{rate.value:.3f} ({rate.lower:.3f} to {rate.upper:.3f})"
