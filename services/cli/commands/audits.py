"""`secondlook audits`: how often automatic decisions are wrong, measured on those that people audited."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from secondlook.cli.measured import NOTHING_YET, newest_figures
from secondlook.cli.output import note, say, show_json, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.quality import MeasuredLabel, MeasuredShare, QualityMeasured
from secondlook.trainer.evidence.estimates import Estimate
from secondlook.trainer.quality.figures import RoutedItem, assisted_prevalence

Figure = tuple[str, str, Estimate]  # what was estimated, of which side or label, the estimate

# The newest routed revisions, with people's final labels; without items that people have yet to judge, about which
# nothing is known.
ROUTED = """
SELECT r.route, r.scores, j.labels AS judged, j.inclusion_probability
FROM (SELECT * FROM router.routed_revision WHERE scores IS NOT NULL AND route NOT IN ('superseded', 'withdrawn')
      ORDER BY routed_at DESC LIMIT $1) AS r
LEFT JOIN LATERAL (
    SELECT labels, inclusion_probability FROM trainer.stored_label l
    WHERE (l.source, l.content_id, l.revision) = (r.source, r.content_id, r.revision) AND adjudicated AND labels <> '{}'
    ORDER BY labelled_at DESC, label_id LIMIT 1
) AS j ON true
WHERE j.labels IS NOT NULL OR (r.route <> 'review' AND NOT r.audited)
"""


def audits(
    last: Annotated[
        int, typer.Option(min=1, help="How many items the model-assisted prevalence counts, newest first.")
    ] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show how often automatic decisions are wrong, how common each label is and how well reviewers agree.

    Every estimate has a 95 % interval. These are the figures that the trainer measured last; only the model-assisted
    prevalence is computed now, from the scores of everything that was routed. `secondlook quality` shows certificates.
    """

    async def command() -> tuple[list[Figure], str | None]:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            pool = transactions.database.pool
            measured = await newest_figures(pool)
            assisted = assisted_prevalence([RoutedItem(**dict(row)) for row in await pool.fetch(ROUTED, last)])
        if measured is None:
            note(NOTHING_YET)
        reviewers = measured.reviewers if measured else ()
        return list(_figures(measured, assisted)), reviewers[0].reviewer if len(reviewers) == 1 else None

    rows, alone = run(command())
    if as_json:
        found = [{"what": what, "of": of, **dataclasses.asdict(estimate)} for what, of, estimate in rows]
        show_json(found)
        return
    show_table(
        ("what", "of", "judged", "estimate", "95 % interval", "method"),
        [
            (what, of, f"{e.k} of {e.n}" if e.k is not None else e.n, _figure(e.value),
             f"{_figure(e.low)} to {_figure(e.high)}", e.method)
            for what, of, e in rows
        ],
        "nothing was classified yet",
    )  # fmt: skip
    if rows and not any(what.startswith("wrong") and e.n for what, _, e in rows):
        say("no automatic decision was audited yet: `audit` in the policy sets how many are")
    if alone is not None:
        say(f"{alone} gave every judgement: all figures, and all that the model learns, rest on one person")


def _figures(measured: QualityMeasured | None, assisted: Mapping[str, Estimate]) -> Iterator[Figure]:
    for side in measured.sides if measured else ():
        yield "wrong of automatic", f"{side.outcome} {side.label or ''}".rstrip(), _share(side.wrong)
    if measured:
        yield "overturned by audits", "all", _share(measured.overturned)
    if measured and measured.confirmed is not None:
        yield "two people agree", "items that certify", _share(measured.confirmed)
    labels = {label.label: label for label in measured.labels} if measured else {}
    for name in sorted({*labels, *assisted}):
        if name in labels:
            yield "prevalence", name, _share(labels[name].prevalence)
        if name in assisted:
            yield "prevalence", name, assisted[name]
    for name, label in labels.items():
        if label.agreement_n:
            yield "agreement", name, _agreement(label)


def _share(found: MeasuredShare) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.n, found.k, "Clopper-Pearson")


def _agreement(label: MeasuredLabel) -> Estimate:
    return Estimate(
        label.agreement, label.agreement_low, label.agreement_high, label.agreement_n, None, "Krippendorff's alpha"
    )


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
