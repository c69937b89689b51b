"""Where an export is written: a file that appears once it is complete, a pipe, or standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from secondlook.cli.files.tables import Format
from secondlook.common.errors import ConfigurationError
from secondlook.common.printable import printable, printable_json


def format_of(out: str, named: Format | None, mark: bool) -> Format:
    """The format: as named, else by the extension, else JSON Lines.

    Raises:
        ConfigurationError: `mark` goes with CSV alone.
    """
    suffix = Path(out).suffix
    form: Format = named or ("csv" if suffix == ".csv" else "parquet" if suffix == ".parquet" else "jsonl")
    if mark and form != "csv":
        raise ConfigurationError(f"--bom is for CSV, not for {form}: leave it out, or add --format csv")
    return form


class _Shown:
    """Standard output where it is a terminal: what is exported comes from outside, and must not control it."""

    def __init__(self, form: Format) -> None:
        self._shown = printable_json if form == "jsonl" else lambda text: printable(text, keep="\r\n")

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(self._shown(data.decode()).encode())


@contextmanager
def target(out: str, form: Format) -> Iterator[BinaryIO]:
    """The file to write to; `-` is standard output.

    Raises:
        ConfigurationError: it cannot be written, or Parquet was asked for on standard output.
    """
    if out == "-":
        if form == "parquet":
            raise ConfigurationError("Parquet needs a file: name one that ends in .parquet")
        yield cast(BinaryIO, _Shown(form)) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path, part = Path(out), Path(f"{out}.part")
    special = path.exists() and not path.is_file()  # a pipe or a device: write to it, never replace it
    try:
        with (path if special else part).open("wb") as file:
            yield file
        if not special:
            os.replace(part, path)
    except ConnectionError:
        raise
    except OSError as error:
        raise ConfigurationError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
