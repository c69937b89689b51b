"""`secondlook audit-log`: who did what, and whether the record of it is whole."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from secondlook.cli.output import say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.errors import SecondLookError
from secondlook.reviewer_api.audit_log.service import AuditLogService

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def audit_log() -> None:
    """Show who signed in, changed accounts, keys and policy, and took items back; check that nobody altered it."""


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List entries, newest first."""

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            found = await AuditLogService(transactions.database).page(None, limit)
        columns = ("number", "at", "who", "did what", "to what", "details")
        rows = [(e.number, e.at, e.actor, e.action, e.object, _told(e.details)) for e in found]
        show_table(columns, rows, "no entries")

    run(command())


@app.command()
def verify(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Check that no entry was changed, removed or moved. Compare the count with an earlier one: an end that was cut off
    leaves no gap."""

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            count, problem = await AuditLogService(transactions.database).verify()
        if problem is not None:
            raise SecondLookError(f"the audit log was tampered with: {problem}")
        say(f"{count} entries, each follows from the one before")

    run(command())


def _told(details: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in details.items())
