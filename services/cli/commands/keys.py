"""`secondlook keys`: create, list and revoke the API keys of the router and of the reviewer API."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from secondlook.cli.output import note, say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.clock import SystemClock
from secondlook.common.contract.fields import Source
from secondlook.common.errors import NotFound
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.permissions import SENDERS, Role
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.accounts.keys import KeyService
from secondlook.reviewer_api.accounts.service import BY_COMMAND

KeyedService = Literal["router", "reviewer"]
SERVICES: tuple[KeyedService, ...] = ("router", "reviewer")

_SOURCES = TypeAdapter(list[Source])

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def keys() -> None:
    """Create, list and revoke API keys. Keys of services give access to the router, all others to the reviewer API."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Person or system that will use the key.")],
    role: Annotated[Role, typer.Option(help="What the key permits; admin permits everything.")],
    service: Annotated[
        KeyedService | None,
        typer.Option(help="Service it gives access to. Default: router for a service, else reviewer."),
    ] = None,
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
    schema = service or ("router" if role in SENDERS else "reviewer")
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
        async with service_transactions(find_workspace(data_dir), schema) as transactions:
            expires_at = None if lifetime is None else transactions.clock.now() + lifetime
            key = await make_key(transactions, schema, name, role, sources, expires_at)
        bound = f", sources {', '.join(sources)}" if sources else ""
        until = f", until {expires_at:%Y-%m-%d %H:%M}Z" if expires_at else ""
        note(f"role {role}, service {schema}{bound}{until}; keep this key, it cannot be shown again:")
        say(key)

    run(command())


def _days(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})d?", text.strip())
    if not match:
        raise typer.BadParameter("a number of days looks like 90d", param_hint="--expires")
    return timedelta(days=int(match[1]))


async def make_key(
    transactions: Transactions,
    schema: str,
    name: str,
    role: Role,
    sources: Collection[str] = (),
    expires_at: datetime | None = None,
) -> str:
    """A new key of the service with this schema. That of the reviewer API is in its audit log."""
    database, clock = transactions.database, transactions.clock
    if schema == "reviewer":
        return await KeyService(database, clock).create(name, role, sources, expires_at, BY_COMMAND)
    return await ApiKeys(database, clock).create(name, role, sources, expires_at)


async def _revoke(transactions: Transactions, schema: str, key_id: str) -> None:
    database, clock = transactions.database, transactions.clock
    if schema == "reviewer":
        await KeyService(database, clock).revoke(key_id, BY_COMMAND)
    else:
        await ApiKeys(database, clock).revoke(key_id)


@app.command("list")
def list_keys(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List all keys, without their secrets."""

    async def command() -> None:
        rows = []
        for schema in SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                found = await ApiKeys(transactions.database, SystemClock()).list()
                rows += [(schema, *{**row, "sources": ", ".join(row["sources"] or ["any"])}.values()) for row in found]
        show_table(
            ("service", "id", "name", "role", "subject", "sources", "created", "expires", "last used", "revoked"),
            rows,
            "no keys",
        )

    run(command())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Key id, from `secondlook keys list`.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Revoke a key. It stops working with the next request."""

    async def command() -> None:
        for schema in SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                try:
                    await _revoke(transactions, schema, key_id)
                except NotFound:
                    continue
            say(f"revoked key {key_id} of the {schema}")
            return
        raise NotFound(f"there is no active key {key_id!r}; see `secondlook keys list`")

    run(command())
