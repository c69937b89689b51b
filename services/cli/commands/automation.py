"""`secondlook stop-automation` and `start-automation`: the kill switch of the policy in force, in one word."""

from pathlib import Path
from typing import Annotated

import typer

from secondlook.cli.output import say
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.reviewer_api.policies.service import PolicyService

PublishedBy = Annotated[str, typer.Option(help="Pseudonym of the person who does it.")]


def stop(published_by: PublishedBy = "command-line", data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Stop all automatic decisions: publish the policy in force again, with the kill switch on.

    Routers obey within seconds; from then on, people decide everything. `secondlook start-automation` ends it.
    """
    version, changed = run(_switch(data_dir, published_by, on=True))
    say(f"version {version} {'is in force' if changed else 'stopped automation already'}: everything goes to review")


def start(published_by: PublishedBy = "command-line", data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Allow automatic decisions again: publish the policy in force again, with the kill switch off.

    Content that went to review meanwhile stays there.
    """
    version, changed = run(_switch(data_dir, published_by, on=False))
    now = "is in force" if changed else "allowed automation already"
    say(f"version {version} {now}: the model decides what it may")


async def _switch(data_dir: Path, published_by: str, *, on: bool) -> tuple[int, bool]:
    """Set the kill switch; returns the version in force, and whether it is new. Raises NotFound without a policy."""
    async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
        policies = PolicyService(transactions)
        before = await policies.active()
        version = await policies.switch(published_by, kill_switch=on)
    return version, before is None or version != before.version
