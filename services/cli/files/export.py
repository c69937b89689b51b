"""Writes the rows of a query to a file: one snapshot, in batches."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondlook.cli.files.tables import Columns, Format, writer_for
from secondlook.cli.files.target import format_of, target
from secondlook.cli.progress import Meter
from secondlook.cli.workspace import find_workspace, service_transactions
from secondlook.common.errors import ConfigurationError

BATCH = 1000


async def export_rows(
    query: str, arguments: tuple[Any, ...], columns: Columns, *, schema: str, out: str, form: Format | None,
    mark: bool, data_dir: Path,
) -> int:  # fmt: skip
    """Write what the query finds in a service's schema, and return how many rows.

    Raises:
        ConfigurationError: the file cannot be written so; nothing is left of it then.
    """
    kind, count = format_of(out, form, mark), 0
    async with service_transactions(find_workspace(data_dir), schema) as transactions:
        with target(out, kind) as file, writer_for(kind, file, columns, mark=mark) as write, Meter("exported") as meter:
            async with transactions.database.pool.acquire() as connection, connection.transaction(readonly=True):
                cursor = await connection.cursor(query, *arguments)
                while rows := await cursor.fetch(BATCH):
                    write([dict(row) for row in rows])
                    count += len(rows)
                    meter.add(len(rows))
    return count


def time_named(text: str | None) -> datetime | None:
    """The time that `--since` names; without a zone it is UTC.

    Raises:
        ConfigurationError: it is no time.
    """
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--since {text!r} is not a time; write 2026-01-31 or 2026-01-31T12:00") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)
