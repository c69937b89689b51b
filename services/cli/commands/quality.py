"""`secondlook quality`: what the trainer measured last, as the reviewer API keeps it."""

from typing import Annotated

import typer

from secondlook.cli.measured import needed_figures, show_frontier
from secondlook.cli.output import cell, say, show_json, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.quality import MeasuredLabel, MeasuredSide


def quality(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show which sides are certified and what the others need, and how labels and reviewers do.

    A side is one automatic decision: to approve, or to reject as one label. The trainer measures after each run and
    every SECONDLOOK_QUALITY_SECONDS. Leads can read the same figures at GET /v1/quality.
    """

    async def command() -> QualityMeasured:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            return await needed_figures(transactions.database.pool)

    found = run(command())
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    say(f"measured {cell(found.measured_at)}, bundle {found.bundle_version or 'none'}")
    show_table(
        ("side", "standing", "threshold", "certified on", "risk at most", "audits", "judged", "waiting"),
        [_side(side) for side in found.sides],
        "no sides",
    )
    for side in found.sides:
        if side.reason:
            say(f"{_name(side)}: {side.reason}" + (f"; {side.outlook}" if side.outlook else ""))
        if side.evidence and side.evidence.declared:
            declared, judged = side.evidence.declared, side.evidence.judged
            say(f"{_name(side)}: {declared:,} of {judged:,} judged items are of a file that was declared to be uniform")
    if found.frontier:
        show_frontier(found)
    show_table(
        ("label", "prevalence", "of items", "agreement", "of shared items", "answers that look wrong"),
        [_label(label) for label in found.labels],
        "no labels",
    )
    show_table(
        ("reviewer", "judged", "agreement"),
        [(one.reviewer, one.n, "" if one.agreement is None else f"{one.agreement:.3f}") for one in found.reviewers],
        "no judgements yet",
    )
    if (looks := found.second_looks).answered:
        say(f"{looks.answered:,} second looks answered, {looks.changed:,} of them with a different answer")


def _name(side: MeasuredSide) -> str:
    return f"{side.outcome} {side.label or ''}".rstrip()


def _side(side: MeasuredSide) -> tuple[object, ...]:
    certificate, audited, evidence = side.certificate, side.audited, side.evidence
    return (
        _name(side),
        side.standing.replace("_", " "),
        None if side.threshold is None else f"{side.threshold:.4f}",
        None if certificate is None else f"{certificate.k:,} wrong of {certificate.n:,}",
        None if certificate is None else f"{certificate.bound:.4f}",
        None if audited is None else f"{audited.errors:,} wrong of {audited.audits:,}",
        None if evidence is None else f"{evidence.wrong:,} wrong of {evidence.judged + evidence.waiting:,}",
        None if evidence is None else evidence.waiting,
    )


def _label(label: MeasuredLabel) -> tuple[object, ...]:
    return (
        label.label,
        "unknown" if label.prevalence.value is None else f"{label.prevalence.value:.4f}",
        label.prevalence.n,
        "unknown" if label.agreement is None else f"{label.agreement:.3f}",
        label.agreement_n,
        label.suspects,
    )
