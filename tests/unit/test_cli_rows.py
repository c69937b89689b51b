"""Reading rows: every format, and every way a file can be wrong."""

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from secondlook.cli.files.formats.table import MAX_LINE
from secondlook.cli.files.rows import ReadAs, read_rows
from secondlook.common.errors import ConfigurationError, InvalidInput


def written(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def rows(path: str) -> list[tuple[int, Any]]:
    return [(number, str(row) if isinstance(row, InvalidInput) else row) for number, _, row in read_rows(path)]


@pytest.mark.parametrize(
    "data",
    [
        b'{"text": "a"}\n{"text": "b"}\n',
        b'{"text": "a"}\n{"text": "b"}',
        b'{"text": "a"}\r\n{"text": "b"}\r\n',
        b'\xef\xbb\xbf{"text": "a"}\n{"text": "b"}\n',
        gzip.compress(b'{"text": "a"}\n{"text": "b"}\n', mtime=0),
    ],
    ids=["lines", "no last newline", "CRLF", "BOM", "gzip"],
)
def test_json_lines(tmp_path: Path, data: bytes) -> None:
    assert rows(written(tmp_path, "some.data", data)) == [(1, {"text": "a"}), (2, {"text": "b"})]


def test_empty_lines_count_but_are_no_rows(tmp_path: Path) -> None:
    assert rows(written(tmp_path, "x.jsonl", b'{"text": 1}\n\n  \n{"text": 2}\n')) == [
        (1, {"text": 1}),
        (4, {"text": 2}),
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.jsonl.gz"])
@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=f"^no rows in .*{name}$"):
        rows(written(tmp_path, name, data.strip() if name.endswith("csv") else data))


def test_no_rows_anywhere_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^no rows in /dev/null$"):
        rows("/dev/null")
    with pytest.raises(ConfigurationError, match=r"^no rows in "):
        list(read_rows(written(tmp_path, "x.csv", b"id,text\n"), ReadAs(text_column="text")))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", b"id,body\n"),
        ("x.csv", b"id,body\n1,a\n"),
        ("x.csv.gz", gzip.compress(b"\nid,body\n", mtime=0)),
        ("x.jsonl", b'{"id": 1, "body": "a"}\n'),
    ],
)
def test_a_file_without_the_column_is_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    path = written(tmp_path, name, data)
    with pytest.raises(ConfigurationError, match="has no column 'text', only id, body; see --text-column"):
        list(read_rows(path, ReadAs(text_column="text")))


def test_a_header_of_anything_is_shown_safely_and_in_short(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        list(read_rows(written(tmp_path, "x.csv", b"\xff\x1b" + b"x" * 10_000 + b"\n"), ReadAs(text_column="text")))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"text": "b"', "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'{"text": "\xff"}', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
    ids=["cut off", "list", "not UTF-8", "deep", "long number"],
)
def test_a_bad_line_is_named_and_the_others_go_on(tmp_path: Path, line: bytes, problem: str) -> None:
    found = rows(written(tmp_path, "x.jsonl", b'{"text": "a"}\n' + line + b'\n{"text": "c"}\n'))
    assert [number for number, _ in found] == [1, 2, 3]
    assert problem in found[1][1]
    assert found[2][1] == {"text": "c"}


def test_an_endless_line_is_skipped(tmp_path: Path) -> None:
    data = b'{"text": "a"}\n{"text": "' + b"x" * (2 * MAX_LINE) + b'"}\n{"text": "c"}\n'
    found = rows(written(tmp_path, "x.jsonl", data))
    assert "longer than" in found[1][1]
    assert found[2] == (3, {"text": "c"})


def test_the_problem_does_not_quote_the_line(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "x.jsonl", b'{"text": "a"}\n{"text": "something private\n'))
    assert "private" not in found[1][1]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.jsonl", bytes(range(256)) * 10),
        ("x.jsonl", b"id,text\n1,hello\n"),
        ("x.parquet", b"this is not Parquet"),
        ("x.parquet", b""),
        ("x.jsonl", b"PAR1 and no more"),
        ("x.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 100_000, mtime=0)[:-200]),
    ],
    ids=["binary", "CSV", "text as Parquet", "empty Parquet", "Parquet cut off", "gzip cut off"],
)
def test_a_file_that_is_something_else_is_one_error(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=name):
        rows(written(tmp_path, name, data))


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.csv", "missing.parquet", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        rows(str(tmp_path / name))


def test_csv(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfid,text\r\n1,"a, ""quoted"" one"\r\n2,"two\r\nlines"\r\n3\r\n'
    found: list[tuple[int, Any]] = [
        (1, {"id": "1", "text": 'a, "quoted" one'}),
        (2, {"id": "2", "text": "two\r\nlines"}),
        (3, {"id": "3", "text": None}),
    ]
    assert rows(written(tmp_path, "x.csv", data)) == found
    assert rows(written(tmp_path, "x.csv.gz", gzip.compress(data, mtime=0))) == found


def test_csv_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    data = b"id,text\n1,a\n2,b,c\n3,\xff\n4,d\n"
    found = rows(written(tmp_path, "x.csv", data))
    assert found[1] == (2, "has more fields than the header (3, not 2); quote fields with delimiters")
    assert found[2] == (3, "is not UTF-8 text; name the encoding, like --encoding cp1252")
    assert found[3] == (4, {"id": "4", "text": "d"})


def test_an_open_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "x.csv", b'text\n"' + b"x" * (MAX_LINE + 10) + b"\nlast\n"))
    assert "is not CSV" in found[0][1]
    assert found[-1][1] == {"text": "last"}


def test_a_quote_that_is_never_closed_is_named_with_its_lines(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "x.csv", b'id,text\n1,a\n2,"b\n3,c\n4,d\n'))
    assert found[0] == (1, {"id": "1", "text": "a"})
    assert found[1][0] == 2
    assert "is not CSV: lines 3 to 5: a quote is opened and never closed" in found[1][1]
    assert len(found) == 2


def test_a_quote_that_the_next_one_closes_is_named_with_its_lines(tmp_path: Path) -> None:
    found = rows(written(tmp_path, "x.csv", b'id,text\n\n1,"a\n2,"b"\n3,c\n'))
    assert "is not CSV: lines 3 to 4: a quote inside a field" in found[0][1]
    assert found[1:] == [(2, {"id": "3", "text": "c"})]


def test_an_open_quote_in_the_header_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the header of .* is not CSV: lines 1 to 2"):
        rows(written(tmp_path, "x.csv", b'id,"text\n1,a\n'))


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table({"text": ["a", None, "c"], "labels": [{"spam": 1}, None, {"spam": None}]})
    parquet.write_table(table, tmp_path / "x.bin")
    found = rows(str(tmp_path / "x.bin"))
    assert found[0] == (1, {"text": "a", "labels": {"spam": 1}})
    assert found[1] == (2, {"text": None, "labels": None})
    with pytest.raises(ConfigurationError, match="has no column 'body', only text, labels"):
        list(read_rows(str(tmp_path / "x.bin"), ReadAs(text_column="body")))


def test_a_big_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path, "x.jsonl", b'{"text": "' + b"x" * 1000 + b'"}\n')
    with open(path, "ab") as file:
        for _ in range(20_000):
            file.write(b'{"text": "' + b"x" * 1000 + b'"}\n')
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 20_001
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
