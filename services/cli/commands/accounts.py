"""`secondlook accounts`: who may sign in to the console."""

from datetime import datetime
from typing import Annotated, get_args

import typer

from secondlook.cli.output import note, say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, find_workspace, service_transactions
from secondlook.common.errors import InvalidInput
from secondlook.reviewer_api.accounts.names import RULE, fold
from secondlook.reviewer_api.accounts.schemas import AccountRole
from secondlook.reviewer_api.accounts.service import BY_COMMAND, AccountService

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
Login = Annotated[str, typer.Argument(help="Username; case does not count.")]
COLUMNS = ("username", "name", "role", "subject", "created", "last seen", "disabled")


@app.callback()
def accounts() -> None:
    """Make, list and disable accounts, and make links that sign in once. API keys are for programs: see `keys`."""


@app.command()
def create(
    username: Login,
    role: Annotated[AccountRole, typer.Option(help=f"What the account permits: {', '.join(get_args(AccountRole))}.")],
    name: Annotated[str | None, typer.Option(help="Name that the console shows. Default: the username.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make an account, and print a link by which its owner signs in and sets a password."""

    async def command() -> None:
        workspace = find_workspace(data_dir)
        async with service_transactions(workspace, "reviewer") as transactions:
            service = AccountService(transactions.database, transactions.clock)
            _, token, until = await service.create(_folded(username), name, role, BY_COMMAND)
        _print_link(workspace, token, until)

    run(command())


@app.command("list")
def list_accounts(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List all accounts."""

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            found = await AccountService(transactions.database, transactions.clock).all()
        names = ("username", "name", "role", "subject", "created_at", "last_seen_at", "disabled_at")
        show_table(COLUMNS, [[row[name] for name in names] for row in found], "no accounts")

    run(command())


@app.command()
def link(username: Login, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print a link that signs the account in once, within 24 hours. Older links of it stop working."""

    async def command() -> None:
        workspace = find_workspace(data_dir)
        async with service_transactions(workspace, "reviewer") as transactions:
            service = AccountService(transactions.database, transactions.clock)
            token, until = await service.link(await service.find(_folded(username)), BY_COMMAND)
        _print_link(workspace, token, until)

    run(command())


@app.command()
def disable(username: Login, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Disable an account: its sessions end at once."""
    _set_disabled(username, data_dir, True)


@app.command()
def enable(username: Login, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Let a disabled account sign in again."""
    _set_disabled(username, data_dir, False)


def login_link(api_url: str, token: str) -> str:
    """The token stands in the fragment, which browsers send to nobody."""
    return f"{api_url}/#login={token}"


async def first_link(workspace: Workspace) -> str:
    """A link that signs an admin in, who is made if there is none."""
    async with service_transactions(workspace, "reviewer") as transactions:
        _, token = await AccountService(transactions.database, transactions.clock).first_admin()
    return login_link(workspace.api_url, token)


def _set_disabled(username: str, data_dir: DataDir, disabled: bool) -> None:
    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), "reviewer") as transactions:
            service = AccountService(transactions.database, transactions.clock)
            found = await service.find(_folded(username))
            await service.change(found, None, None, disabled, BY_COMMAND)
        say(f"the account {username} is {'disabled' if disabled else 'enabled'}")

    run(command())


def _folded(username: str) -> str:
    folded = fold(username)
    if folded is None:
        raise InvalidInput(RULE)
    return folded


def _print_link(workspace: Workspace, token: str, until: datetime) -> None:
    note(f"this link signs in once, until {until:%Y-%m-%d %H:%M}Z; it cannot be shown again:")
    say(login_link(workspace.api_url, token))
