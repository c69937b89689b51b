"""`secondlook policy`: check, simulate, apply and show the moderation policy."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.parse import urlsplit

import typer
import yaml

from secondlook.cli.measured import needed_figures, show_frontier
from secondlook.cli.output import note, say, show_json, show_lines, show_table
from secondlook.cli.policy_cautions import cautions
from secondlook.cli.progress import Meter
from secondlook.cli.replays import (
    ACCEPTED,
    AsJson,
    Last,
    Report,
    Show,
    Texts,
    describe,
    open_model,
    open_system,
    pick,
    present,
    read_decided,
    remarks,
)
from secondlook.cli.terminal import fail, guarded, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import Policy, refuse_reserved, refuse_unaudited
from secondlook.common.contract.policy_yaml import PolicyText, load_policy_text
from secondlook.common.errors import BundleRejected, NotFound
from secondlook.common.printable import printable
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.replay.count import ROUTES, Part, ReplayedItem, tally
from secondlook.router.replay.excerpt import newest
from secondlook.router.replay.score import read_contents
from secondlook.router.replay.simulate import PastDecision, reroute
from secondlook.router.state import InForce
from secondlook.trainer.registry import BundleRow

PolicyFile = Annotated[Path, typer.Argument(help="Policy file in YAML.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def policy() -> None:
    """Check, simulate, apply and show the moderation policy: labels, thresholds, audits, queues, kill switch."""


@app.command()
def check(file: PolicyFile) -> None:
    """Check a policy file and summarise it. Needs no running system and changes nothing."""
    text = guarded(lambda: load_policy_text(file))
    guarded(text.refuse_unpublishable)
    summarise(text.policy)
    warn(text)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="File to write; `-` writes to standard output.")] = Path("policy.yaml"),
    force: Annotated[bool, typer.Option(help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented policy to start from: every field, what it means and its default."""
    template = files("secondlook.cli").joinpath("policy.yaml").read_text(encoding="utf-8")
    if str(file) == "-":
        show_lines(template)
        return

    if file.exists() and not force:
        fail(f"{file} exists: name another file, or replace it with --force")
    guarded(lambda: file.write_text(template, encoding="utf-8"))
    say(f"wrote {file}; edit it, then `secondlook policy check {file}` and `secondlook policy apply {file}`")


@app.command()
def apply(
    file: PolicyFile,
    published_by: Annotated[str, typer.Option(help="Pseudonym of the person who publishes it.")] = "command-line",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Put a policy in force. If it equals the policy in force, nothing changes."""

    async def command() -> None:
        text = load_policy_text(file)
        async with _policies(data_dir) as policies:
            before = await policies.active()
            version = await policies.publish(text.policy, published_by)
        unchanged = before is not None and before.version == version
        say(f"version {version} {'is in force already' if unchanged else 'is in force'}")
        warn(text)

    run(command())


@app.command()
def show(
    version: Annotated[int | None, typer.Option(min=1, help="Version to print. Default: the one in force.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print a published policy as YAML, ready to edit and apply."""

    async def command() -> None:
        async with _policies(data_dir) as policies:
            published = await (policies.active() if version is None else policies.version(version))
        if published is None:
            raise NotFound("no policy has been published yet: `secondlook policy apply FILE`")
        say(f"# version {published.version}, {published.published_at:%Y-%m-%d %H:%M}Z, {published.published_by}")
        document = published.policy.model_dump(mode="json")
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        if printable(text, keep="\n") != text:  # YAML has escapes of its own, so that what is read back is the same
            text = yaml.safe_dump(document, sort_keys=False)
        show_lines(text)

    run(command())


@app.command()
def frontier(as_json: AsJson = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show what other risks would cost: what could be certified now, and what people would judge a day.

    The trainer measures it whenever it looks at the evidence, for half to five times the risks of the policy in force.
    """

    async def command() -> QualityMeasured:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            return await needed_figures(transactions.database.pool)

    found = run(command())
    if as_json:
        show_json([point.model_dump() for point in found.frontier])
    else:
        show_frontier(found)


@app.command()
def simulate(
    file: PolicyFile,
    last: Last = 1000,
    show: Show = 10,
    texts: Texts = False,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show which routes a policy file would change.

    Replays the newest items under it, and changes nothing.
    """

    async def command() -> Report:
        text = load_policy_text(file)
        document = text.policy
        async with open_system(data_dir) as system:
            excerpt = await newest(system.bus, last)
            found = await read_decided(system.pool, excerpt.contents)
            accepted = await system.pool.fetchval(ACCEPTED)
            in_force, bundles = await system.policies.active(), await system.registry.all()
        refuse_reserved(document, in_force.policy.labels if in_force else ())
        refuse_unaudited(document, in_force.policy if in_force else None)
        decided = [one for one in found if one.fate.route in ROUTES]
        left_out = {
            "not decided yet, or refused": len(excerpt.contents) - len(found),
            "superseded before they were decided": len(found) - len(decided),
            "not on the log any more": accepted - len(found) if excerpt.complete else 0,
        }
        notes = [f"left out: {count:,} {why}" for why, count in left_out.items() if count > 0]
        notes += [f"warning: {caution}" for caution in cautions(text)]
        active = next((row for row in bundles if row.stage == "active"), None)
        with TemporaryDirectory() as cache, Meter("classified") as meter:
            force, usable, found_out = _in_force(document, active, Path(cache))
            notes += found_out
            alike = {row.bundle_version for row in bundles if usable and active and row.weights == active.weights}
            items = reroute(decided, force, alike, partial(read_contents, force.model, meter.add), system.secret)
        if document.mode == "certified" and in_force and (in_force.policy.mode, in_force.policy.risk) != (
            "certified", document.risk
        ):  # fmt: skip
            notes.append(
                "the replay uses the active bundle's thresholds; other risk targets count once they are certified"
            )
        versions = (in_force.version if in_force else None, active.bundle_version if active else None)
        notes.append(_by_others(decided, items, *versions))
        return Report(
            before="as decided",
            after=f"policy {document.name!r} of {file}, bundle {versions[1] or 'none'}",
            replayed=describe(excerpt, len(items), accepted),
            notes=notes,
            tally=tally(items),
            shown=pick(items, show, texts),
        )

    present(run(command()), as_json)


def _in_force(policy: Policy, active: BundleRow | None, cache: Path) -> tuple[InForce, bool, list[str]]:
    """The policy and model that the router would use, whether a bundle would be usable, and remarks on it."""
    blind = InForce(policy, None, None)
    if active is None:
        return blind, False, ["no bundle is active: everything goes to review"]
    if not set(policy.labels) <= set(active.labels):
        return blind, False, remarks(policy, active, blind.thresholds)
    try:
        force = InForce(policy, None, open_model(active, cache))
    except BundleRejected as error:
        used = (
            "there are no thresholds, so nothing is automatic; the replay assumes"
            if policy.mode == "certified"
            else "the replay uses the stored scores, and assumes"
        )
        return blind, True, [f"{error}; without it {used} that the model read every text to its end"]
    return force, True, remarks(policy, active, force.thresholds, force.held_back)


def _by_others(
    decided: Sequence[PastDecision], items: Sequence[ReplayedItem], policy: int | None, bundle: str | None
) -> str:
    """A sentence on how many items, and how many of those that flip, other versions decided than those in force."""
    by_others = [(one.policy_version, one.bundle_version) != (policy, bundle) for one in decided]
    part = Part(sum(by_others), sum(by_others) / len(items) if items else None)
    flips = [other for other, item in zip(by_others, items, strict=True) if item.flips]
    which = "not decided by the policy in force and the active bundle"
    return f"{which}: {part}, and {sum(flips):,} of {len(flips):,} flips"


@asynccontextmanager
async def _policies(data_dir: Path) -> AsyncIterator[PolicyService]:
    async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
        yield PolicyService(transactions)


def warn(text: PolicyText) -> None:
    """Print what the author of a policy probably did not mean."""
    for caution in cautions(text):
        note(f"warning: {caution}", "yellow")


def summarise(policy: Policy) -> None:
    """Print a summary of a policy."""
    fixed, thresholds, risk, audit = policy.mode == "fixed", policy.thresholds, policy.risk, policy.audit
    say(f"policy {policy.name!r}, mode {policy.mode}")
    if fixed:
        say("UNCERTIFIED: these thresholds were set by hand and carry no certified error rate", "bold yellow")
        say(f"approve if: {'off' if thresholds.approve is None else f'every score is at most {thresholds.approve}'}")
    else:
        say(
            f"promise: at most {risk.approve:.1%} of automatic approvals and {risk.reject:.1%} of automatic rejections "
            f"are wrong, at {risk.confidence:.0%} confidence"
        )
    if policy.kill_switch:
        say("the kill switch is on: everything goes to review", "bold red")
    if policy.signals.required:
        say(f"content without {', '.join(policy.signals.required)} goes to review")
    for name, endpoint in policy.signals.ask.items():
        say(f"routers ask {name} ({urlsplit(endpoint.url).hostname}) for {', '.join(endpoint.names)}")
    labels = [
        (name, label.action, label.severity, label.quorum, thresholds.reject.get(name, "off") if fixed else "certified")
        for name, label in policy.labels.items()
    ]
    show_table(("label", "action", "severity", "quorum", "reject at"), labels, "no labels")
    queues = [(name, queue.sla_minutes, queue.role) for name, queue in policy.queues.items()]
    show_table(("queue", "target minutes", "role"), queues, "no queues")
    say(
        f"audits: {audit.certify:.1%} of everything, {audit.approve:.1%} of automatic approvals, "
        f"{audit.reject:.1%} of automatic rejections"
        + ("" if fixed else f"; at first {audit.most:.0%}; {audit.hold_out:.0%} of the content is never learned from")
    )
