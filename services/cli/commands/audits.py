"""`secondlook audits`: how often automatic decisions are wrong, measured on those that people audited."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from secondlook.cli.output import say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.postgres import Row
from secondlook.trainer.evidence.estimates import Estimate, agreement, audit_errors, overturn_rate, prevalence

# The newest routed revisions, with their automatic decision and people's final labels; without items that people have
# yet to judge, about which nothing is known.
ITEMS = """
SELECT r.route, r.scores, d.labels AS decided, j.labels AS judged, j.stratum, j.inclusion_probability
FROM (SELECT * FROM router.revision WHERE scores IS NOT NULL AND route <> 'superseded'
      ORDER BY routed_at DESC LIMIT $1) AS r
LEFT JOIN reviewer.decision_log d
    ON (d.source, d.content_id, d.revision, d.decided_by) = (r.source, r.content_id, r.revision, 'model')
LEFT JOIN LATERAL (
    SELECT labels, stratum, inclusion_probability FROM trainer.label l
    WHERE (l.source, l.content_id, l.revision) = (r.source, r.content_id, r.revision) AND adjudicated AND labels <> '{}'
    ORDER BY labelled_at DESC, label_id LIMIT 1
) AS j ON true
WHERE j.labels IS NOT NULL OR (r.route <> 'review' AND NOT r.audited)
"""
# Without items that went back because an answer looked wrong: people disagree on them more than on others.
RATINGS = """
SELECT source, content_id, revision, reviewer, labels FROM trainer.label
WHERE (source, content_id, revision) IN (
    SELECT source, content_id, revision FROM trainer.label GROUP BY 1, 2, 3 HAVING count(DISTINCT reviewer) > 1)
  AND (source, content_id, revision) NOT IN (SELECT source, content_id, revision FROM trainer.second_look)
"""
Rows = list[tuple[str, str, Estimate]]


def audits(
    last: Annotated[int, typer.Option(min=1, help="How many items to count, newest first.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show how often automatic decisions are wrong, how common each label is and how well reviewers agree.

    Every estimate has a 95 % interval.
    """

    async def command() -> Rows:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            pool = transactions.database.pool
            items, ratings = await pool.fetch(ITEMS, last), await pool.fetch(RATINGS)
        return [*_estimates(items), *_agreements(ratings)]

    rows = run(command())
    if as_json:
        found = [{"what": what, "of": of, **dataclasses.asdict(estimate)} for what, of, estimate in rows]
        typer.echo(json.dumps(found, indent=2))
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


def _estimates(items: Sequence[Row]) -> Rows:
    if not items:
        return []
    scores = [row["scores"] for row in items]
    judged = [row["judged"] or {} for row in items]
    labels = sorted({label for row in scores for label in row})
    route = np.array([row["route"] for row in items])
    targets, known = _table(labels, judged), _table(labels, scores)
    rejected = np.array([[label in (row["decided"] or ()) for label in labels] for row in items])
    rejected &= (route == "reject")[:, None]
    uniform = np.array([row["stratum"] == "uniform" for row in items])
    audited = (route != "review") & np.array([bool(row["judged"]) for row in items])
    errors = audit_errors(labels, route == "approve", rejected, targets, uniform)
    found: Rows = [("wrong of automatic", "approve", errors.approve)]
    found += [("wrong of automatic", f"reject {label}", estimate) for label, estimate in errors.reject.items()]
    outcomes = np.array([any(row.values()) for row in judged])
    found.append(("overturned by audits", "all", overturn_rate((route == "reject")[audited], outcomes[audited])))
    # What went to review was chosen for sure; of what was decided automatically, the coin chose.
    chance = np.array([1.0 if row["route"] == "review" else row["inclusion_probability"] or 1.0 for row in items])
    for column, label in enumerate(labels):
        scored, one = ~np.isnan(known[:, column]), [column]
        both = prevalence([label], known[scored][:, one], targets[scored][:, one], chance[scored], uniform[scored])
        found += [("prevalence", label, both[label].sampled), ("prevalence", label, both[label].assisted)]
    return found


def _agreements(rows: Sequence[Row]) -> Rows:
    units = sorted({(row["source"], row["content_id"], row["revision"]) for row in rows})
    numbers = {unit: number for number, unit in enumerate(units)}
    reviewers = sorted({row["reviewer"] for row in rows})
    said = [row["labels"] for row in rows]
    found: Rows = []
    for label in sorted({label for row in said for label in row}):
        ratings = np.full((len(units), len(reviewers)), np.nan)
        for row, labels in zip(rows, said, strict=True):
            if label in labels:
                unit = numbers[row["source"], row["content_id"], row["revision"]]
                ratings[unit, reviewers.index(row["reviewer"])] = labels[label]
        found.append(("agreement", label, agreement(ratings)))
    return found


def _table(labels: Sequence[str], rows: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    return np.array([[float(row.get(label, np.nan)) for label in labels] for row in rows]).reshape(-1, len(labels))


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
