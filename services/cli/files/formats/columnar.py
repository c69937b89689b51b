"""Parquet, with the names of classes that Hugging Face's `datasets` keeps in the schema."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from secondlook.cli.files.formats.table import Table, TableRow, named_once
from secondlook.common.errors import ConfigurationError

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH_ROWS = 512

Naming = Callable[[Any], Any]


def columnar(file: BinaryIO, shown: str) -> Table:
    """The table of a Parquet file. `file` can seek.

    A column of class numbers comes as an object of all its classes, of which one is true, since somebody chose it among
    them all; a list of class numbers likewise. A number below 0 means that nobody answered.

    Raises, also while rows are read:
        ConfigurationError: it is not Parquet, is damaged, or has a column twice.
    """
    import pyarrow as arrow  # here: it is large, and half of the commands do not need it
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(file)
        columns = named_once(opened.schema_arrow.names, shown)
    except arrow.ArrowException as error:
        raise ConfigurationError(f"{shown} is not Parquet or is damaged: {error}") from error
    return Table("Parquet", columns, _rows(opened, columns, _namings(opened.schema_arrow.metadata), shown))


def _rows(
    file: "ParquetFile", columns: tuple[str, ...], namings: Mapping[str, Naming], shown: str
) -> Iterator[TableRow]:
    import pyarrow as arrow

    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            for row in batch.rename_columns(list(columns)).to_pylist():
                number += 1
                for name, naming in namings.items():
                    row[name] = naming(row.get(name))
                yield TableRow(number, None, row)
    except arrow.ArrowException as error:
        raise ConfigurationError(f"{shown} is not Parquet or is damaged: {error}") from error


def _namings(metadata: Mapping[bytes, bytes] | None) -> dict[str, Naming]:
    """What turns the class numbers of a column into names (https://hf.co/docs/datasets, `ClassLabel`)."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        described = [(name.strip(), feature) for name, feature in features.items()]
    except (KeyError, TypeError, ValueError, AttributeError):  # no such metadata: the numbers stay
        return {}
    return {name: naming for name, feature in described if (naming := _naming(feature))}


def _naming(feature: Any) -> Naming | None:
    if isinstance(feature, list) and feature:  # how earlier versions wrote a list
        feature = {"feature": feature[0]}
    if not isinstance(feature, Mapping):
        return None
    if names := _classes(feature):
        return lambda value: _answers(names, None if value is None else [value])
    if names := _classes(feature.get("feature")):
        return lambda value: _answers(names, value)
    return None


def _classes(feature: Any) -> tuple[str, ...]:
    names = feature.get("names") if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _answers(names: tuple[str, ...], chosen: Any) -> Any:
    if chosen is None or any(number is None or number < 0 for number in chosen):
        return None
    if any(number >= len(names) for number in chosen):
        return chosen  # no class of this column: whoever reads labels refuses it
    return {name: number in chosen for number, name in enumerate(names)}
