"""`secondlook migrate`: update the schemas of all services and create the topics of the bus."""

from typing import Annotated

import typer

from secondlook.cli.output import say
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, common_settings, find_workspace
from secondlook.common.bus.topics import topics
from secondlook.common.bus.transport import open_bus
from secondlook.common.postgres import BUS, COMMON, KERNEL, Database
from secondlook.common.postgres import migrate as migrate_schema

SCHEMAS = {
    "bus": [BUS],
    "router": [KERNEL, COMMON.parent / "router" / "migrations"],
    "reviewer": [KERNEL, COMMON.parent / "reviewer_api" / "migrations"],
    "trainer": [KERNEL, COMMON.parent / "trainer" / "migrations"],
}


async def migrate_schemas(url: str) -> dict[str, list[str]]:
    """Bring every schema up to date; returns the names of what was applied, by schema.

    Safe to repeat, and to call from several processes at once.

    Raises:
        ConfigurationError: the server cannot be reached, or a migration was changed after it was applied.
    """
    return {schema: await migrate_schema(url, schema, folders) for schema, folders in SCHEMAS.items()}


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


def migration_names(schema: str) -> list[str]:
    """The migrations of a schema, as they are noted in its `schema_migration`."""
    return [
        f"{file.parent.parent.name}/{file.name}" for folder in SCHEMAS[schema] for file in sorted(folder.glob("*.sql"))
    ]


def migrate(
    database_url: Annotated[
        str | None,
        typer.Option(envvar="SECONDLOOK_DATABASE_URL", help="PostgreSQL URL. Default: that of the data directory."),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Update the database schemas of all services and create missing topics. Safe to repeat."""

    async def command() -> None:
        applied = await migrate_all(find_workspace(data_dir, database_url))
        for schema, names in applied.items():
            say(f"{schema}: {', '.join(names) or 'up to date'}")

    run(command())
