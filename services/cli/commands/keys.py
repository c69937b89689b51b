"""`secondlook keys`: the API keys of the router and of the reviewer API."""

from typing import Annotated, Literal

import typer

from secondlook.cli.output import note, say, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.clock import SystemClock
from secondlook.common.errors import NotFound
from secondlook.common.service.api_keys import ApiKeys, Role

Service = Literal["router", "reviewer"]
SERVICES: tuple[Service, ...] = ("router", "reviewer")

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def keys() -> None:
    """API keys. Each service has its own: upstream keys open the router, the others the reviewer API."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whom or what it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do; admin may do all of it.")],
    service: Annotated[
        Service | None, typer.Option(help="Which service it opens. Default: router for upstream, else reviewer.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a key and print it, once: only its hash is stored."""
    schema = service or ("router" if role == "upstream" else "reviewer")

    async def command() -> None:
        async with service_transactions(find_workspace(data_dir), schema) as transactions:
            key = await ApiKeys(transactions.database, SystemClock()).create(name, role)
        note(f"role {role}, service {schema}; keep it, it is not shown again:")
        typer.echo(key)

    run(command())


@app.command("list")
def list_keys(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """All keys, without their secrets."""

    async def command() -> None:
        rows = []
        for schema in SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                found = await ApiKeys(transactions.database, SystemClock()).list()
                rows += [(schema, *row.values()) for row in found]
        show_table(("service", "id", "name", "role", "subject", "created", "revoked"), rows, "no keys")

    run(command())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `secondlook keys list` shows it.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a key useless, from the next request on."""

    async def command() -> None:
        for schema in SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                try:
                    await ApiKeys(transactions.database, SystemClock()).revoke(key_id)
                except NotFound:
                    continue
            say(f"key {key_id} of the {schema} is revoked")
            return
        raise NotFound(f"no active key {key_id!r}; `secondlook keys list` shows them")

    run(command())
