"""`secondlook policy`: check, publish and show the moderation policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml

from services.cli.output import say, show_table
from services.cli.workspace import (
    DEFAULT_DATA_DIR,
    DataDir,
    find_workspace,
    guarded,
    run,
    service_transactions,
)  # fmt: skip
from services.common.errors import NotFound
from services.common.policy import Policy, load_policy
from services.reviewer_api.policies.service import PolicyService

PolicyFile = Annotated[Path, typer.Argument(help="A policy in YAML.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def policy() -> None:
    """Check, publish and show the moderation policy."""


@app.command()
def check(file: PolicyFile) -> None:
    """Read a policy and say what it means; changes nothing. Needs no running system."""
    summarise(guarded(lambda: load_policy(file)))


@app.command()
def apply(
    file: PolicyFile,
    published_by: Annotated[str, typer.Option(help="Pseudonym of who publishes it.")] = "command-line",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Put a policy in force. One that equals the policy in force changes nothing."""

    async def command() -> None:
        document = load_policy(file)
        async with _policies(data_dir) as policies:
            before = await policies.active()
            version = await policies.publish(document, published_by)
        unchanged = before is not None and before.version == version
        say(f"version {version} {'is in force already' if unchanged else 'is in force'}")

    run(command())


@app.command()
def show(
    version: Annotated[int | None, typer.Option(min=1, help="Default: the one in force.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print a published policy as YAML, ready to be changed and applied."""

    async def command() -> None:
        async with _policies(data_dir) as policies:
            published = await (policies.active() if version is None else policies.version(version))
        if published is None:
            raise NotFound("no policy has been published yet: `secondlook policy apply FILE`")
        typer.echo(f"# version {published.version}, {published.published_at:%Y-%m-%d %H:%M}Z, {published.published_by}")
        document = published.policy.model_dump(mode="json")
        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)

    run(command())


@asynccontextmanager
async def _policies(data_dir: Path) -> AsyncIterator[PolicyService]:
    async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
        yield PolicyService(transactions)


def summarise(policy: Policy) -> None:
    """Print what a policy decides by."""
    fixed, thresholds, risk, audit = policy.mode == "fixed", policy.thresholds, policy.risk, policy.audit
    say(f"policy {policy.name!r}, mode {policy.mode}")
    if fixed:
        say("UNCERTIFIED: thresholds are set by hand, no error rate is promised", "bold yellow")
        say(f"approve: {'off' if thresholds.approve is None else f'every score at most {thresholds.approve}'}")
    else:
        say(
            f"promise: at most {risk.approve:.1%} of automatic approvals and {risk.reject:.1%} of automatic rejections "
            f"are wrong, at {risk.confidence:.0%} confidence"
        )
    if policy.kill_switch:
        say("kill switch is on: everything goes to review", "bold red")
    labels = [
        (name, label.action, label.severity, label.quorum, thresholds.reject.get(name, "off") if fixed else "certified")
        for name, label in policy.labels.items()
    ]
    show_table(("label", "action", "severity", "quorum", "reject from"), labels, "no labels")
    queues = [(name, queue.sla_minutes, queue.role) for name, queue in policy.queues.items()]
    show_table(("queue", "minutes", "role"), queues, "no queues")
    say(
        f"audits: {audit.certify:.1%} of everything, {audit.approve:.1%} of automatic approvals, "
        f"{audit.reject:.1%} of automatic rejections"
    )
