"""CSV in every dialect and encoding is read as it was written."""

import codecs
import csv
import gzip
import io
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from secondlook.cli.files.formats.cells import original
from secondlook.cli.files.formats.dialects import delimiter_named
from secondlook.cli.files.rows import ReadAs, opened, read_rows
from secondlook.common.errors import ConfigurationError, InvalidInput

DELIMITERS = [",", ";", "\t", "|", ":", "^", "~"]
ENCODINGS = {
    "utf-8": "", "utf-8-sig": "", "utf-16": "", "utf-16-le": "", "utf-16-be": "", "utf-32": "", "cp1252": "cp1252",
    "latin-1": "latin-1", "shift_jis": "shift_jis", "koi8-r": "koi8-r",
}  # fmt: skip
TEXTS = {"cp1252": "naïve café, 5 €", "latin-1": "naïve café", "shift_jis": "日本の語", "koi8-r": "слово"}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=20)


def written(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def values(path: str, **wanted: Any) -> list[Any]:
    return [row.values for row in read_rows(path, ReadAs(**wanted))]


@pytest.mark.parametrize(("encoding", "delimiter"), [*product(ENCODINGS, DELIMITERS)])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_encoding_with_every_delimiter(tmp_path: Path, encoding: str, delimiter: str, zipped: bool) -> None:
    rows = [["1", TEXTS.get(encoding, "naïve 日本 😀"), "0"], ["2", f'a {delimiter} "quoted"\r\none', "1"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([["id", " text ", "spam"], *rows])
    data = text.getvalue().encode(encoding)
    path = written(tmp_path, "x.csv", gzip.compress(data, mtime=0) if zipped else data)
    with opened(path, ReadAs(encoding=ENCODINGS[encoding] or None)) as file:
        assert file.delimiter == delimiter
        assert [list(row.values.values()) for row in file.rows if isinstance(row.values, dict)] == rows
        assert file.columns == ("id", "text", "spam")


@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8),
    delimiter=st.sampled_from(DELIMITERS),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    quote=st.sampled_from(['"', "'"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    name=st.sampled_from(["x.csv", "x.txt", "x.tsv", "x"]),
)
def test_what_csv_writer_writes_is_read_back(
    rows: list[tuple[str, str, str]],
    delimiter: str,
    quoting: Any,
    quote: str,
    end: str,
    name: str,
    tmp_path_factory: Any,
) -> None:
    assume(quote == '"' or quoting != csv.QUOTE_MINIMAL)  # else nothing in the header tells the quote
    ends = "".join(cell for row in rows for cell in row)
    assume(quoting != csv.QUOTE_MINIMAL or not set("\r\n") & set(ends) - set(end))  # which it leaves without quotes
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, quotechar=quote, lineterminator=end)
    writer.writerows([("id", "text", "note"), *rows])
    path = written(tmp_path_factory.mktemp("csv"), name, text.getvalue().encode())
    expected = [dict(zip(("id", "text", "note"), map(original, row), strict=True)) for row in rows]
    assert values(path) == expected
    assert values(path, delimiter=delimiter) == expected


@given(rows=st.lists(CELL.filter(lambda text: text.strip() != ""), min_size=1, max_size=8))
def test_a_file_of_one_column_needs_no_delimiter(rows: list[str], tmp_path_factory: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["text"], *([row] for row in rows)])
    path = written(tmp_path_factory.mktemp("csv"), "x.csv", text.getvalue().encode())
    assert values(path) == [{"text": original(row)} for row in rows]


def test_backslashes_before_quotes_are_read_where_the_file_has_them(tmp_path: Path) -> None:
    data = b'id,text\n1,"a \\"quoted\\" one, and more"\n2,"plain"\n'
    assert values(written(tmp_path, "x.csv", data))[0] == {"id": "1", "text": 'a "quoted" one, and more'}
    assert values(written(tmp_path, "y.csv", b'id,text\n1,"C:\\temp\\"\n'))[0]["text"] == "C:\\temp\\"


@pytest.mark.parametrize(("named", "character"), [("tab", "\t"), ("\\t", "\t"), (";", ";"), ("pipe", "|"), ("#", "#")])
def test_a_delimiter_can_be_named(tmp_path: Path, named: str, character: str) -> None:
    path = written(tmp_path, "x.csv", f"text{character}n\na{character}1\n".encode())
    assert values(path, delimiter=named) == [{"text": "a", "n": "1"}]


@pytest.mark.parametrize("named", ["", ";;", '"', "\n", "\\"])
def test_what_can_be_no_delimiter_is_refused(named: str) -> None:
    with pytest.raises(ConfigurationError, match="--delimiter"):
        delimiter_named(named)


@pytest.mark.parametrize(
    ("data", "encoding", "problem"),
    [
        (b"text\na\n", "klingon", "is not a text encoding; for example utf-8"),
        (b"text\na\n", "hex", "is not a text encoding"),
        (codecs.BOM_UTF8 + b"text\na\n", "cp1252", "begins with the mark of UTF-8 and is not cp1252"),
        ("text\na\n".encode("utf-16"), "utf-8", "begins with the mark of UTF-16 and is not utf-8"),
    ],
)
def test_an_encoding_that_cannot_be_is_one_error(tmp_path: Path, data: bytes, encoding: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        values(written(tmp_path, "x.csv", data), encoding=encoding)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
@pytest.mark.parametrize(
    ("encoding", "bad", "named"),
    [("utf-8", b"\xe9", None), ("utf-16-le", b"\x00\xd8", None), ("cp1252", b"\x81", "cp1252")],
)
def test_what_is_not_of_the_encoding_is_refused_row_by_row(
    tmp_path: Path, name: str, encoding: str, bad: bytes, named: str | None
) -> None:
    whole = {
        "x.csv": "id,text\n1,before\n2,MARK\n3,after\n",
        "x.jsonl": '{"text":"before"}\n{"text":"MARK"}\n{"text":"after"}',
        "x.json": '[{"text":"before"},\n{"text":"MARK"},\n{"text":"after"}]',
    }[name]
    before, after = (part.encode(encoding) for part in whole.split("MARK"))
    found = values(written(tmp_path, name, before + bad + after), encoding=named)
    assert [row["text"] for row in found if isinstance(row, dict)] == ["before", "after"]
    assert isinstance(found[1], InvalidInput)
    assert "text; name the encoding, like --encoding cp1252" in str(found[1])


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x"])
@pytest.mark.parametrize(
    ("start", "advice"),
    [(b"PK\x03\x04", "save the sheet as CSV"), (b"BZh9", "unpack it first"), (b"ARROW1\x00", "save it as Parquet")],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_other_kinds_of_files_are_named_with_what_to_do(
    tmp_path: Path, name: str, start: bytes, advice: str, zipped: bool
) -> None:
    data = start + b"\x00\x01 and more"
    with pytest.raises(ConfigurationError, match=advice):
        values(written(tmp_path, name, gzip.compress(data, mtime=0) if zipped else data))


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the column 'text' more than once \(columns 2 and 4\)"):
        values(written(tmp_path, "x.csv", b"id,text,n, text \n1,a,2,b\n"))
    found = values(
        written(tmp_path, "x.jsonl", b'{"text": "a"}\n{"text": "a", "text": "b"}\n{"text": "a", " text": 1}')
    )
    assert found[0] == {"text": "a"}
    assert [str(row) for row in found[1:]] == ["has the field 'text' more than once; keep one of them"] * 2


def test_columns_without_a_name_are_counted(tmp_path: Path) -> None:
    assert values(written(tmp_path, "x.csv", b",text,\n0,a,\n")) == [{"column 1": "0", "text": "a", "column 3": ""}]


@pytest.mark.parametrize(
    "first",
    [
        "1,a private remark",
        "17;0;1",
        "some private words of more than five words",
        "a private one!,b",
        "x" * 200 + ",1",
    ],
)
def test_a_file_without_a_header_is_one_clear_error_without_its_text(tmp_path: Path, first: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        values(written(tmp_path, "x.csv", f"{first}\n{first}\n".encode()))
    assert "looks like a row, not like names of columns: put a line with the names before it" in str(refused.value)
    assert "private" not in str(refused.value)


def test_the_nearest_column_is_suggested(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", b"id,Texte,labls\n1,a,spam\n")
    with pytest.raises(ConfigurationError, match=r"see --text-column \(did you mean 'Texte'\?\)"):
        values(path)
    with pytest.raises(ConfigurationError, match=r"see --labels-column \(did you mean 'labls'\?\)"):
        values(path, text_column="Texte", labels_column="labels", judgements=True)
