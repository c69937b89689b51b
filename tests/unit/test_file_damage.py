"""Whatever bytes a file has: it is read, or refused in one sentence, and its rows are read or refused one by one."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.cli.files.content import Filling, fill
from secondlook.cli.files.judgements import Labelling
from secondlook.cli.files.rows import ReadAs, opened, read_rows
from secondlook.cli.files.survey import FIRST, labels_column_of, surveyed
from secondlook.common.clock import SystemClock
from secondlook.common.errors import ConfigurationError, InvalidInput

NOW = SystemClock().now()
NAMES = ["x", "x.csv", "x.tsv", "x.jsonl", "x.json", "x.parquet", "x.txt", "x.csv.gz", "x.json.gz"]
ENCODINGS = [None, "utf-8", "utf-16", "utf-32", "utf-16-be", "cp1252", "shift_jis", "utf-7", "idna", "punycode"]
ANNOTATION = {"completed_by": 1, "result": [{"value": {"choices": ["x"]}}]}
STUDIO = [{"id": 1, "data": {"text": "a"}, "annotations": [ANNOTATION]}]
ARGILLA = [
    {"id": 1, "fields": {"text": "a"}, "responses": {"q": [{"value": ["x"], "user_id": "u"}]}, "suggestions": {}}
]
FLAT = [{"id": 1, "text": "a", "q.responses": ["x"], "q.responses.users": ["u"], "q.responses.status": ["submitted"]}]
CLASSIC = [{"id": 1, "inputs": {"text": "a"}, "annotation": "x", "annotation_agent": "u", "status": "Validated"}]
ANYTHING = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3) | st.lists(st.none() | st.text(max_size=2))
)


def read(path: Path, data: bytes, wanted: ReadAs) -> None:
    """Read a file as the commands do; what they expect of a file that is wrong is all that may be raised."""
    path.write_bytes(data)
    with suppress(ConfigurationError), opened(str(path), wanted) as file:
        layout = file.layout
        labelling = Labelling(
            "s", "r", {}, layout.text_column, labels_column_of(file, (), None), layout.reviewer_column
        )  # fmt: skip
        survey = surveyed(file.rows, labelling, NOW)
        assert survey.read == len(survey.first) + survey.refused.total() + survey.repeated or survey.read > FIRST
    with suppress(ConfigurationError):
        for row in read_rows(str(path), wanted):
            if not isinstance(row.values, InvalidInput):
                with suppress(InvalidInput):
                    fill(row.number, row.values, Filling("s"), NOW)


@given(
    data=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"text\n{text}".encode("utf-8", "replace")),
    name=st.sampled_from(NAMES),
    encoding=st.sampled_from(ENCODINGS),
    zipped=st.booleans(),
    judgements=st.booleans(),
)
def test_any_bytes(
    data: bytes, name: str, encoding: str | None, zipped: bool, judgements: bool, tmp_path_factory: Any
) -> None:
    wanted = ReadAs(encoding, judgements=judgements)
    read(tmp_path_factory.mktemp("any") / name, gzip.compress(data, mtime=0) if zipped else data, wanted)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, part in parts for deeper in _paths(part, (*path, key)))]


def _with(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], other)
    return copy


@pytest.mark.parametrize("rows", [STUDIO, ARGILLA, FLAT, CLASSIC], ids=["Label Studio", "Argilla", "flat", "Argilla 1"])
@given(draw=st.data())
def test_exports_in_which_anything_is_something_else(
    rows: list[Any], draw: st.DataObject, tmp_path_factory: Any
) -> None:
    broken = _with(rows[0], draw.draw(st.sampled_from(_paths(rows[0])[1:])), draw.draw(ANYTHING))
    path = tmp_path_factory.mktemp("odd") / "x.json"
    for first in (rows[0], broken):
        for judgements in (True, False):
            read(path, json.dumps([first, broken]).encode(), ReadAs(judgements=judgements))
            read(path, json.dumps([first, broken]).encode(), ReadAs(labels_column="q", judgements=judgements))


@pytest.mark.parametrize("made", [lambda: "text\na\n".encode("utf-16-le"), lambda: "text\na\n".encode("utf-16")])
def test_utf_16_may_be_named_without_a_mark(tmp_path: Path, made: Callable[[], bytes]) -> None:
    (tmp_path / "x.csv").write_bytes(made())
    with opened(str(tmp_path / "x.csv"), ReadAs("utf-16")) as file:
        assert [row.values for row in file.rows] == [{"text": "a"}]
