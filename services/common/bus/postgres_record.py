"""Rows of bus.record as records."""

from secondlook.common.bus import Record
from secondlook.common.postgres import Row


def to_record(row: Row) -> Record:
    """The record in a row. Whatever a foreign writer put into the headers, they are read as text by name."""
    found = row["headers"]
    headers = (
        {name: value for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    )
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers, row["written_at"])
