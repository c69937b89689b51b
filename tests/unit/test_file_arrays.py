"""JSON arrays are read an element at a time; what cannot be read is named with its line."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.cli.files.formats import json_text
from secondlook.cli.files.rows import read_rows
from secondlook.common.errors import ConfigurationError, InvalidInput

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def written(folder: Path, text: str) -> str:
    (folder / "x.json").write_text(text, encoding="utf-8")
    return str(folder / "x.json")


def found(path: str) -> list[tuple[int, int | None, Any]]:
    return [
        (row.number, row.line, str(row.values) if isinstance(row.values, InvalidInput) else row.values)
        for row in read_rows(path)
    ]


@pytest.mark.parametrize("chunk", [1, 7, 64 * 1024])
@given(rows=st.lists(VALUE, min_size=1, max_size=5), indent=st.sampled_from([None, 0, 2]))
def test_an_array_is_read_as_json_reads_it(
    chunk: int, rows: list[Any], indent: int | None, tmp_path_factory: Any
) -> None:
    given_rows = [{"text": "a", "n": row} for row in rows]
    path = written(tmp_path_factory.mktemp("json"), json.dumps(given_rows, indent=indent, ensure_ascii=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "CHUNK", chunk)
        assert [row for _, _, row in found(path)] == given_rows


def test_elements_have_numbers_and_lines(tmp_path: Path) -> None:
    assert found(written(tmp_path, '[\n {"text": "a"},\n\n {"text":\n "b"},\n 5,\n {"text": "c"}\n]\n')) == [
        (1, 2, {"text": "a"}), (2, 4, {"text": "b"}), (3, 6, "is not a JSON object"), (4, 7, {"text": "c"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ('{"text": "b"', "is not JSON: the file ends; nothing behind this was read"),
        ("", "is not JSON: the file ends; nothing behind this was read"),
        ('{"text" "b"}]', "is not JSON: Expecting ':' delimiter in line 2; nothing behind this was read"),
        (
            '{"text": 1, "text": 2}]',
            "has the field 'text' more than once; keep one of them; nothing behind this was read",
        ),
        ('{"text": "b"}] []', "there is more after the array; nothing behind this was read"),
    ],
)
def test_where_an_array_breaks_off_is_said(tmp_path: Path, rest: str, problem: str) -> None:
    rows = found(written(tmp_path, '[{"text": "a"},\n' + rest))
    assert rows[0] == (1, 1, {"text": "a"})
    assert rows[-1][2] == problem


@pytest.mark.parametrize("text", ["[", "[1]", "[[1]]", '["text"]', "[}", '[{"text": }]'])
def test_what_is_no_array_of_objects_is_one_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an array of JSON objects: line 1"):
        found(written(tmp_path, text))


def test_an_empty_array_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no rows in"):
        found(written(tmp_path, " [ ]\n"))


def test_a_big_array_is_not_held_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path, "[" + ",\n".join(['{"text": "' + "x" * 1000 + '"}'] * 20_000) + "]")
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
