"""`secondlook dead-letters`: list the records that could not be processed, or retry them."""

import re
from typing import Annotated, Literal

import typer

from secondlook.cli.output import note, say, shortened, show_table
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace, service_transactions
from secondlook.common.errors import ConfigurationError
from secondlook.common.service.dead_letters import Place, newest, requeue_places, waiting

ConsumingService = Literal["router", "reviewer", "trainer"]
SERVICES: tuple[ConsumingService, ...] = ("router", "reviewer", "trainer")
OneService = Annotated[ConsumingService | None, typer.Option(help="Only this service's. Default: all services.")]
OneReason = Annotated[str | None, typer.Option(help="Only with this reason.")]
SHOWN = 80  # characters of a key and of a detail, which come from outside

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def dead_letters() -> None:
    """List the records that could not be processed, or retry them. Commands never print content."""


@app.command("list")
def list_dead_letters(
    service: OneService = None,
    reason: OneReason = None,
    everything: Annotated[bool, typer.Option("--all", help="Include those that were already requeued.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most this many per service.")] = 50,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List dead letters, newest first."""

    async def command() -> None:
        rows: list[tuple[object, ...]] = []
        for schema in [service] if service else SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                found = await newest(transactions, reason, requeued=everything, limit=limit, length=SHOWN + 1)
            rows += [
                (schema, id_, shortened(key, SHOWN), why, shortened(detail, SHOWN), failed, requeued)
                for id_, key, why, detail, failed, requeued in found
            ]
        columns = ("service", "id", "key", "reason", "detail", "failed", "requeued")
        show_table(columns, rows, "no dead letters", whole=("id",))

    run(command())


@app.command()
def requeue(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids, from `secondlook dead-letters list`.")
    ] = None,
    service: OneService = None,
    reason: OneReason = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that --service leaves.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Retry records: publish each of them again, unchanged. If one fails again, it becomes a new dead letter.

    Give ids, or --reason, or --all. Exit status 1 if an id is unknown, was already requeued, or is larger
    than any event.
    """

    async def command() -> bool:
        if bool(ids) == bool(everything or reason):
            raise ConfigurationError("name what to requeue: either ids, or --all or --reason")
        wanted = {_place(each) for each in ids or ()}
        done: set[Place] = set()
        for schema in [service] if service else SERVICES:
            async with service_transactions(find_workspace(data_dir), schema) as transactions:
                places = [p for p in await waiting(transactions, reason) if not ids or p in wanted]
                requeued = await requeue_places(transactions, places, already=done)
            if requeued:
                say(f"{schema}: {len(requeued):,} requeued")
            done |= requeued
        for place in sorted(wanted - done):
            note(f"unknown, already requeued, or too large for an event: {'/'.join(map(str, place))}")
        if not done:
            say("nothing to requeue")
        return wanted <= done

    if not run(command()):
        raise typer.Exit(1)


def _place(text: str) -> Place:
    match = re.fullmatch(r"([^/]+)/([^/]+)/([0-9]{1,9})/([0-9]{1,18})", text)
    if not match:
        raise ConfigurationError(f"{text!r} is not an id; an id looks like postgres/content.submitted/0/17")
    return match[1], match[2], int(match[3]), int(match[4])
