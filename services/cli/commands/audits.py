"""`secondlook audits`: how often automatic decisions are wrong, measured on those that people audited."""

import dataclasses
import json
from typing import Annotated

import typer

from secondlook.cli.output import say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.trainer.quality.figures import Figure, RoutedItem, agreements, audit_figures
from secondlook.trainer.quality.repository import shared_ratings

# The newest routed revisions, with their automatic decision and people's final labels; without items that people have
# yet to judge, about which nothing is known.
ITEMS = """
SELECT r.route, r.scores, d.labels AS decided, j.labels AS judged, j.stratum, j.inclusion_probability
FROM (SELECT * FROM router.routed_revision WHERE scores IS NOT NULL AND route <> 'superseded'
      ORDER BY routed_at DESC LIMIT $1) AS r
LEFT JOIN reviewer.published_decision d
    ON (d.source, d.content_id, d.revision, d.decided_by) = (r.source, r.content_id, r.revision, 'model')
LEFT JOIN LATERAL (
    SELECT labels, stratum, inclusion_probability FROM trainer.stored_label l
    WHERE (l.source, l.content_id, l.revision) = (r.source, r.content_id, r.revision) AND adjudicated AND labels <> '{}'
    ORDER BY labelled_at DESC, label_id LIMIT 1
) AS j ON true
WHERE j.labels IS NOT NULL OR (r.route <> 'review' AND NOT r.audited)
"""


def audits(
    last: Annotated[int, typer.Option(min=1, help="How many items to count, newest first.")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show how often automatic decisions are wrong, how common each label is and how well reviewers agree.

    Every estimate has a 95 % interval.
    """

    async def command() -> list[Figure]:
        async with service_transactions(find_workspace(data_dir), "trainer") as transactions:
            pool = transactions.database.pool
            items = [RoutedItem(**dict(row)) for row in await pool.fetch(ITEMS, last)]
            agreed = agreements(await shared_ratings(pool))
        return [*audit_figures(items), *(("agreement", label, estimate) for label, estimate in agreed.items())]

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


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
