"""Replays of a running system: what they read, and how commands print the result."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from secondlook.cli.output import cell, say, shortened, show_json, show_table
from secondlook.cli.workspace import find_workspace, service_transactions
from secondlook.common.bundle.sides import Side
from secondlook.common.bus import Bus
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.errors import BundleRejected
from secondlook.common.postgres import Queryable
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.coin.store import coin_secret
from secondlook.router.identity.hashes import text_sha256
from secondlook.router.replay.count import ROUTES, Fate, ReplayedItem, Tally
from secondlook.router.replay.excerpt import Excerpt
from secondlook.router.replay.simulate import PastDecision
from secondlook.router.state import Model
from secondlook.trainer.registry import BundleRow, Registry

LONGEST_TEXT = 500  # characters of a text that are shown
ACCEPTED = "SELECT count(*) FROM router.routed_revision"  # so far
DECIDED = """
SELECT k.number - 1 AS number, r.route, r.audited, r.scores, r.why, r.policy_version, r.bundle_version,
       r.signals, d.labels, coalesce(d.reason, r.reason) AS reason
FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
     WITH ORDINALITY AS k(source, content_id, revision, text_sha256, number)
JOIN router.routed_revision r USING (source, content_id, revision, text_sha256)
LEFT JOIN reviewer.published_decision d
  ON (d.source, d.content_id, d.revision, d.decided_by) = (r.source, r.content_id, r.revision, 'model')
ORDER BY k.number
"""

Last = Annotated[int, typer.Option(min=1, max=100_000, help="How many items to replay, newest first.")]
Show = Annotated[int, typer.Option(min=0, help="How many items with a new route to list, newest first.")]
Texts = Annotated[bool, typer.Option("--texts", help="Also print their texts, which can be disturbing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class System:
    """What a replay reads. `pool` can read every service's schema; `secret` is what the router flips coins with."""

    bus: Bus
    pool: Queryable
    policies: PolicyService
    registry: Registry
    secret: CoinSecret


@asynccontextmanager
async def open_system(data_dir: Path) -> AsyncIterator[System]:
    """Open the running system."""
    workspace = find_workspace(data_dir)
    async with (
        service_transactions(workspace, "router") as router,
        service_transactions(workspace, "reviewer") as reviewer,
        service_transactions(workspace, "trainer") as trainer,
    ):
        yield System(
            router.bus,
            router.database.pool,
            PolicyService(reviewer),
            Registry(trainer.database, trainer),
            await coin_secret(router.database.pool),
        )


def open_model(row: BundleRow, cache: Path) -> Model:
    """Open a bundle as the router does; raises BundleRejected, also if its files were removed."""
    from secondlook.router.model import loader  # here: it takes seconds to import

    if row.removed_at is not None:
        raise BundleRejected(f"the files of bundle {row.bundle_version} were removed")
    return loader(cache)(row.uri, row.sha256)


async def read_decided(pool: Queryable, contents: Sequence[ContentSubmitted]) -> list[PastDecision]:
    """The router's decisions on those of these revisions that it has accepted, in their order. A route can also be
    `superseded`."""
    keys = [(c.source, c.content_id, c.revision, text_sha256(c.text)) for c in contents]
    rows = await pool.fetch(DECIDED, *([list(column) for column in zip(*keys, strict=True)] or [[]] * 4))
    return [
        PastDecision(
            contents[row["number"]].model_copy(update={"signals": row["signals"] or {}}),
            Fate(
                row["route"],
                row["route"] == "review" or row["audited"],
                tuple(row["labels"] or ()),
                row["scores"],
                row["reason"] or row["why"],
            ),
            row["policy_version"],
            row["bundle_version"],
        )
        for row in rows
    ]


async def as_routed(pool: Queryable, excerpt: Excerpt) -> Excerpt:
    """The excerpt with the signals that the router had of each item, also those that it asked for itself."""
    found = {(one.content.key, one.content.revision): one.content for one in await read_decided(pool, excerpt.contents)}
    return replace(excerpt, contents=[found.get((each.key, each.revision), each) for each in excerpt.contents])


def remarks(policy: Policy, row: BundleRow, thresholds: Thresholds, off: Mapping[Side, str] | None = None) -> list[str]:
    """What a person should know about this policy and bundle: why nothing is automatic, or nothing is certified.

    `off` are the certified sides that the policy holds back, each with the reason.
    """
    unknown = sorted(set(policy.labels) - set(row.labels))
    bundle = f"bundle {row.bundle_version}"
    found = []
    if policy.kill_switch:
        found.append("the kill switch is on: everything goes to review")
    if unknown:
        found.append(f"{bundle} does not know {', '.join(unknown)}: everything goes to review until one does")
    elif off:
        found += [f"{bundle} is certified to {side}, and decides nothing by it: {why}" for side, why in off.items()]
    elif policy.mode == "certified" and thresholds == Thresholds():
        found.append(f"{bundle} carries no certified thresholds: under it, everything goes to review")
    if policy.mode == "fixed":
        found.append("UNCERTIFIED: these thresholds were set by hand and carry no certified error rate")
    return found


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a replay, as `--json` prints it. `shown` lists items that flip, newest first."""

    before: str
    after: str
    replayed: str
    notes: Sequence[str]
    tally: Tally
    shown: Sequence[Mapping[str, Any]]


def describe(excerpt: Excerpt, items: int, accepted: int) -> str:
    """A sentence on which items were replayed."""
    there = len(excerpt.contents)
    which = f"all {there:,} items that the log still holds" if excerpt.complete else f"the last {there:,} on the log"
    return (
        f"{items:,} of {which}, written from {cell(excerpt.first)} to {cell(excerpt.last)}; "
        f"the router has accepted {accepted:,} so far"
    )


def pick(items: Sequence[ReplayedItem], show: int, texts: bool) -> list[Mapping[str, Any]]:
    """The newest items that flip, with their texts if `texts`."""
    return [
        {"key": item.content.key, "revision": item.content.revision, **({"text": item.content.text} if texts else {}),
         "before": asdict(item.before), "after": asdict(item.after)}
        for item in [item for item in reversed(items) if item.flips][:show]
    ]  # fmt: skip


def present(report: Report, as_json: bool) -> None:
    """Print a report."""
    if as_json:
        show_json(asdict(report))
        return
    notes = [f"note: {line}" for line in report.notes]
    for line in (f"before: {report.before}", f"after: {report.after}", f"replayed: {report.replayed}", *notes):
        say(line)
    found = report.tally
    rows = [(f"was {before}", *row.values(), sum(row.values())) for before, row in found.routes.items()]
    total = [sum(row[route] for row in found.routes.values()) for route in ROUTES]
    show_table(("", *ROUTES, "all"), [*rows, ("all", *total, found.items)], "")
    say(f"flips: {found.flips}")
    for name, parts in (("review load, including audits", found.review), ("automatic", found.automatic)):
        say(f"{name}: {parts['before']} before, {parts['after']} after")
    rows = [(label, *counts.values()) for label, counts in found.labels.items()]
    show_table(
        ("label", "rejected before", "rejected after", "flips"),
        rows,
        "no item has scores, so there is nothing to show by label",
    )
    if any(change.largest for change in found.scores.values()):
        show_table(
            ("label", "scored by both", "mean before", "mean after", "mean change", "95 % change less than", "largest"),
            [(label, c.n, *map("{:.4f}".format, (c.before, c.after, c.mean, c.p95, c.largest)))
             for label, c in found.scores.items()],
            "",
        )  # fmt: skip
    for item in report.shown:
        before, after = item["before"], item["after"]
        now = after["scores"] or before["scores"] or {}
        was = {label: f"{p:.3f} → " for label, p in (before["scores"] or {}).items() if p != now.get(label, p)}
        listed = ", ".join(f"{label} {was.get(label, '')}{p:.3f}" for label, p in now.items())
        way = f"{before['route']} → {after['route']}"
        say(f"{item['key']} revision {item['revision']}: {way} [{listed}] {after['reason']}")
        if "text" in item:
            say(f"    {shortened(item['text'], LONGEST_TEXT)}")
