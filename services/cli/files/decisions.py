"""Decisions as JSON Lines, CSV or Parquet, batch by batch."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from secondlook.cli.files.cells import harmless

COLUMNS = (
    "decision_id", "source", "content_id", "revision", "sequence", "outcome", "labels", "action", "decided_by",
    "decided_at", "confidence", "policy_version", "bundle_version", "reason", "supersedes",
)  # fmt: skip

DecisionRows = Sequence[dict[str, Any]]
Write = Callable[[DecisionRows], None]


@contextmanager
def writer_for(form: str, file: BinaryIO) -> Iterator[Write]:
    """A function that writes rows of COLUMNS. Labels are a list, separated by spaces in CSV; times are UTC.

    In CSV, text that begins like a formula has an apostrophe before it, which `read_rows` takes off again.
    """
    if form == "parquet":
        with _parquet(file) as write:
            yield write
    elif form == "csv":
        yield _csv(file)
    else:
        yield lambda rows: _json_lines(file, rows)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    ids = {name: None if row[name] is None else str(row[name]) for name in ("decision_id", "supersedes")}
    return {**row, **ids, "decided_at": row["decided_at"].isoformat()}


def _json_lines(file: BinaryIO, rows: DecisionRows) -> None:
    file.write(b"".join(json.dumps(_plain(row), ensure_ascii=False).encode() + b"\n" for row in rows))


def _csv(file: BinaryIO) -> Write:
    header = io.StringIO()
    csv.DictWriter(header, COLUMNS).writeheader()
    file.write(header.getvalue().encode())

    def write(rows: DecisionRows) -> None:
        text = io.StringIO()
        lines = csv.DictWriter(text, COLUMNS)
        for row in rows:
            cells = {**_plain(row), "labels": " ".join(row["labels"])}
            lines.writerow({name: harmless(value) for name, value in cells.items()})
        file.write(text.getvalue().encode())

    return write


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Write]:
    import pyarrow as arrow  # here: it is large, and only this format needs it
    from pyarrow import parquet

    kinds = {
        "revision": arrow.int32(),
        "sequence": arrow.int64(),
        "policy_version": arrow.int32(),
        "labels": arrow.list_(arrow.string()),
        "decided_at": arrow.timestamp("us", tz="UTC"),
        "confidence": arrow.float64(),
    }
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
    with parquet.ParquetWriter(file, schema) as writer:

        def write(rows: DecisionRows) -> None:
            plain = [{**_plain(row), "decided_at": row["decided_at"]} for row in rows]
            writer.write_batch(arrow.RecordBatch.from_pylist(plain, schema=schema))

        yield write
