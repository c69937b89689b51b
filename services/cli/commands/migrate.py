"""`secondlook migrate`: update the schemas of all services and create the topics of the bus."""

from typing import Annotated

import typer

from secondlook.cli.commands.keys import adopt_router_keys
from secondlook.cli.output import say
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, common_settings, find_workspace
from secondlook.common.bus.topics import topics
from secondlook.common.bus.transport import open_bus
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database


async def migrate_all(workspace: Workspace) -> dict[str, list[str]]:
    """Update the schemas as `migrate_schemas` does, and create missing topics with `SECONDLOOK_PARTITIONS` partitions.

    Raises:
        BusUnavailable: Kafka cannot be reached.
    """
    settings = common_settings(workspace)
    applied = await migrate_schemas(workspace.database_url)
    async with Database.open(workspace.database_url, "bus", size=2) as database:
        await open_bus(settings, database).ensure_topics(topics(settings.partitions))
    return applied


def migrate(
    database_url: Annotated[
        str | None,
        typer.Option(envvar="SECONDLOOK_DATABASE_URL", help="PostgreSQL URL. Default: that of the data directory."),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Update the database schemas of all services and create missing topics. Safe to repeat."""

    async def command() -> None:
        workspace = find_workspace(data_dir, database_url)
        applied = await migrate_all(workspace)
        adopted = await adopt_router_keys(workspace)
        for schema, names in applied.items():
            say(f"{schema}: {', '.join(names) or 'up to date'}")
        if adopted:
            say(f"{adopted:,} keys of the router open every service now")

    run(command())
