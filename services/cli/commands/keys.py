"""`secondlook keys`: create, list and revoke API keys."""

import re
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from secondlook.cli.output import note, say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, find_workspace, service_transactions
from secondlook.common.contract.fields import Source
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.permissions import SENDERS, Role
from secondlook.reviewer_api.accounts.keys import KeyService
from secondlook.reviewer_api.accounts.service import BY_COMMAND

OWNER, ROUTER = "reviewer", "router"  # schemas: of all keys, and of those that earlier versions made

_SOURCES = TypeAdapter(list[Source])

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def keys() -> None:
    """Create, list and revoke API keys. One key opens every service, for what its role permits."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Person or system that will use the key.")],
    role: Annotated[Role, typer.Option(help="What the key permits; admin permits everything.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="Source that a service's key may send and withdraw content of; repeatable. Default: any."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Days after which it stops working, like 90d. Default: never.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Create a key and print it. It cannot be shown again, because only its hash is stored."""
    sources = source or []
    if sources and role not in SENDERS:
        raise typer.BadParameter("only a service's key can be bound to sources", param_hint="--source")
    lifetime = _days(expires)
    try:
        _SOURCES.validate_python(sources)
    except ValidationError as error:
        problem = "a source has lower-case letters, digits, '.', '_' and '-', 64 at most"
        raise typer.BadParameter(problem, param_hint="--source") from error

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), OWNER) as transactions:
            expires_at = None if lifetime is None else transactions.clock.now() + lifetime
            key = await KeyService(transactions).create(name, role, sources, expires_at, BY_COMMAND)
        bound = f", sources {', '.join(sources)}" if sources else ""
        until = f", until {expires_at:%Y-%m-%d %H:%M}Z" if expires_at else ""
        note(f"role {role}{bound}{until}; keep this key, it cannot be shown again:")
        say(key)

    run(command())


def _days(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})d?", text.strip())
    if not match:
        raise typer.BadParameter("a number of days looks like 90d", param_hint="--expires")
    return timedelta(days=int(match[1]))


async def adopt_router_keys(workspace: Workspace) -> int:
    """Make the keys that an earlier version made for the router alone open every service; returns how many."""
    async with service_transactions(workspace, ROUTER) as transactions:
        stored = await ApiKeys(transactions.database, transactions.clock).stored()
    async with service_transactions(workspace, OWNER) as transactions:
        return await KeyService(transactions).adopt(stored, BY_COMMAND)


async def hand_keys_to_router(workspace: Workspace) -> None:
    """Give the router the keys that there are, so that it knows them before the bus tells it, as after a move to
    Kafka. What the bus tells later counts."""
    async with service_transactions(workspace, OWNER) as transactions:
        known = await ApiKeys(transactions.database, transactions.clock).stored()
    async with service_transactions(workspace, ROUTER) as transactions:
        await ApiKeys(transactions.database, transactions.clock).adopt(known, transactions.database.pool)


@app.command("list")
def list_keys(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List all keys, without their secrets."""

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), OWNER) as transactions:
            found = await KeyService(transactions).all()
        rows = [tuple({**row, "sources": ", ".join(row["sources"] or ["any"])}.values()) for row in found]
        show_table(
            ("id", "name", "role", "subject", "sources", "created", "expires", "last used", "revoked"),
            rows,
            "no keys",
        )

    run(command())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Key id, from `secondlook keys list`.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Revoke a key. It stops working with the next request, at the router a moment later."""

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), OWNER) as transactions:
            await KeyService(transactions).revoke(key_id, BY_COMMAND)
        say(f"revoked key {key_id}")

    run(command())
