"""Tables that we write: JSON Lines, CSV or Parquet, batch by batch."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal
from uuid import UUID

from secondlook.cli.files.formats.cells import harmless

Format = Literal["jsonl", "csv", "parquet"]
Kind = Literal["int32", "int64", "float", "bool", "time", "names", "flags", "numbers"]
Rows = Sequence[Mapping[str, Any]]
Write = Callable[[Rows], None]
MARK = b"\xef\xbb\xbf"  # of UTF-8, without which Excel takes a CSV file for another encoding


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns in order, and the kinds of those that are no text.

    `names` are a list of texts, separated by spaces in CSV. `flags` and `numbers` map names to true or false and to
    numbers, in CSV as JSON. Times are UTC.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, Kind] = field(default_factory=dict)


@contextmanager
def writer_for(form: Format, file: BinaryIO, columns: Columns, *, mark: bool = False) -> Iterator[Write]:
    """A function that writes rows. With `mark`, a CSV file begins with the mark of UTF-8.

    In CSV, text that begins like a formula has an apostrophe before it, which `read_rows` takes off again.
    """
    if form == "parquet":
        with _parquet(file, columns) as write:
            yield write
    elif form == "csv":
        file.write(MARK if mark else b"")
        yield _csv(file, columns)
    else:
        yield lambda rows: _json_lines(file, rows)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, UUID) else value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _json_lines(file: BinaryIO, rows: Rows) -> None:
    file.write(b"".join(json.dumps(_plain(row), ensure_ascii=False).encode() + b"\n" for row in rows))


def _csv(file: BinaryIO, columns: Columns) -> Write:
    def cell(name: str, value: Any) -> Any:
        kind = columns.kinds.get(name)
        if kind == "names":
            value = " ".join(value)
        elif kind in ("flags", "numbers") and value is not None:
            return json.dumps(value)  # begins with a brace
        return harmless(value)

    def write(rows: Rows) -> None:
        text = io.StringIO()
        lines = csv.DictWriter(text, columns.names)
        for row in rows:
            lines.writerow({name: cell(name, value) for name, value in _plain(row).items()})
        file.write(text.getvalue().encode())

    header = io.StringIO()
    csv.DictWriter(header, columns.names).writeheader()
    file.write(header.getvalue().encode())
    return write


@contextmanager
def _parquet(file: BinaryIO, columns: Columns) -> Iterator[Write]:
    import pyarrow as arrow  # here: it is large, and only this format needs it
    from pyarrow import parquet

    kinds = {
        "int32": arrow.int32(),
        "int64": arrow.int64(),
        "float": arrow.float64(),
        "bool": arrow.bool_(),
        "time": arrow.timestamp("us", tz="UTC"),
        "names": arrow.list_(arrow.string()),
        "flags": arrow.map_(arrow.string(), arrow.bool_()),
        "numbers": arrow.map_(arrow.string(), arrow.float64()),
    }
    schema = arrow.schema([
        (name, kinds[columns.kinds[name]] if name in columns.kinds else arrow.string()) for name in columns.names
    ])  # fmt: skip

    def value_of(value: Any) -> Any:
        return list(value.items()) if isinstance(value, dict) else str(value) if isinstance(value, UUID) else value

    with parquet.ParquetWriter(file, schema) as writer:

        def write(rows: Rows) -> None:
            plain = [{name: value_of(value) for name, value in row.items()} for row in rows]
            writer.write_batch(arrow.RecordBatch.from_pylist(plain, schema=schema))

        yield write
