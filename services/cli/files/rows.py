"""Rows of a data file, one at a time: JSON Lines, CSV (both also gzipped), Parquet; `-` is standard input.

The first bytes tell the format, then the name (`.csv`); everything else is JSON Lines. In place of a row that cannot be
read comes an InvalidInput, so that one bad line does not cost the rest. In CSV, the apostrophe is taken off that
`decisions export` puts before text that begins like a formula.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, BinaryIO, cast

from secondlook.cli.files.cells import original
from secondlook.cli.output import shortened
from secondlook.common.errors import ConfigurationError, InvalidInput

NumberedRow = tuple[int, dict[str, Any] | InvalidInput]

MAX_LINE = 4 * 1024 * 1024
PARQUET_ROWS = 512
NAMED = 20


def read_rows(path: str, column: str | None = None) -> Iterator[NumberedRow]:
    """Read (number, row) of each row lazily. Numbers are line numbers in JSON Lines, else they count rows.

    Raises:
        ConfigurationError: the file cannot be read, is damaged, has another format than its name or first bytes tell,
            has no rows, or its header, schema or first line lacks `column`.
    """
    empty = True
    for row in _read(path, column):
        empty = False
        yield row
    if empty:
        raise ConfigurationError(f"no rows in {_shown(path)}")


def _shown(path: str) -> str:
    return "standard input" if path == "-" else path


def _require(column: str | None, columns: Iterable[object], path: str) -> None:
    columns = tuple(columns)
    if column is not None and column not in columns:
        there = shortened(", ".join(map(str, islice(columns, NAMED))), 300) or "no columns"
        raise ConfigurationError(f"{_shown(path)} has no column {column!r}, only {there}; see --text-column")


def _read(path: str, column: str | None) -> Iterator[NumberedRow]:
    with _explained(path), ExitStack() as stack:
        raw = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        file = cast(BinaryIO, raw)
        name = path.lower().removesuffix(".gz")
        start = raw.peek(4)[:4] if isinstance(raw, io.BufferedReader) else b""
        if start == b"PAR1" or (name.endswith(".parquet") and path != "-"):
            yield from _parquet(path, column)
            return
        if start[:2] == b"\x1f\x8b":
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=file)))
        yield from _csv(file, path, column) if name.endswith(".csv") else _json_lines(file, path, column)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigurationError(f"{_shown(path)} is damaged: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {_shown(path)}: {error.strerror or error}") from error


def _json_lines(file: BinaryIO, path: str, column: str | None) -> Iterator[NumberedRow]:
    first = True
    for number, line in _lines(file):
        if line is not None and not line.strip():
            continue
        row = _object(line)
        if first and isinstance(row, InvalidInput):
            raise ConfigurationError(
                f"{_shown(path)} is not JSON Lines: line {number} {row} (it can be .jsonl, .csv or .parquet)"
            )
        if first and isinstance(row, dict):
            _require(column, row, path)
        first = False
        yield number, row


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None stands for a line that is too long to hold in memory."""
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) >= MAX_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def _object(line: bytes | None) -> dict[str, Any] | InvalidInput:
    if line is None:
        return InvalidInput(f"is longer than {MAX_LINE} bytes", reason="too_large")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return InvalidInput("is not UTF-8 text", reason="malformed")
    except json.JSONDecodeError as error:
        return InvalidInput(f"is not JSON: {error.msg} at column {error.colno}", reason="malformed")
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets thousands deep
        return InvalidInput("is not JSON that can be read", reason="malformed")
    if not isinstance(value, dict):
        return InvalidInput("is not a JSON object", reason="malformed")
    return value


def _csv(file: BinaryIO, path: str, column: str | None) -> Iterator[NumberedRow]:
    csv.field_size_limit(MAX_LINE)
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        lines = csv.reader(text, strict=True)  # else a quote that is never closed swallows the rest of the file
        number, header = 0, None
        while True:
            start = lines.line_num + 1
            try:
                fields = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                found = InvalidInput(f"is not CSV: {_where(start, lines.line_num)}: {_why(error)}", reason="malformed")
                if header is None:
                    raise ConfigurationError(f"the header of {_shown(path)} {found}") from error
                number += 1
                yield number, found
                continue
            if not fields:  # skip empty lines
                continue
            if header is None:
                _require(column, fields, path)
                header = fields
            else:
                number += 1
                yield number, _named(header, fields)


def _where(start: int, end: int) -> str:
    return f"line {start}" if start == end else f"lines {start} to {end}"


def _why(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened and never closed; these lines were skipped"
    if "expected after" in str(error):
        return "a quote inside a field is not doubled, or a quote is not closed; these lines were skipped"
    return str(error)


def _named(header: list[str], fields: list[str]) -> dict[str, Any] | InvalidInput:
    if len(fields) > len(header):
        return InvalidInput("has more fields than the header", reason="malformed")
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:  # invalid bytes became lone surrogates
        return InvalidInput("is not UTF-8 text", reason="malformed")
    return dict(zip_longest(header, map(original, fields)))


def _parquet(path: str, column: str | None) -> Iterator[NumberedRow]:
    import pyarrow as arrow  # here: it is large, and half of the commands do not need it
    from pyarrow import parquet

    if path == "-":
        raise ConfigurationError("Parquet cannot be read from standard input: name a file")
    if not Path(path).is_file():
        raise ConfigurationError(f"cannot read {path}: no such file")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            _require(column, file.schema_arrow.names, path)
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except arrow.ArrowException as error:
        raise ConfigurationError(f"{path} is not Parquet or is damaged: {error}") from error
