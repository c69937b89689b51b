"""Exported text is no formula, wherever it is opened, and comes back as it was."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.cli.files.columns import DECISIONS
from secondlook.cli.files.formats.cells import harmless, original
from secondlook.cli.files.rows import ReadAs, read_rows
from secondlook.cli.files.tables import writer_for

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
FORMULAS = [
    before + sign + "SUM(1)"
    for sign in SIGNS
    for before in ("", " ", "   ", "\t", "\r", '"', "'", ' "', "\ufeff", "\u200b", "\u3000", "'' \"", "\u202e")
]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.sampled_from(FORMULAS)


@pytest.mark.parametrize("text", [*FORMULAS, "\tx", "\rx", "\nx", "=", "-", "'=", "''=1"])
def test_what_begins_like_a_formula_is_text(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert original(harmless(text)) == text


@pytest.mark.parametrize("value", ["", "a=b", "1-2", "it's", "'quoted'", "x@y.z", -1, -0.5, 0, 1e-9, None, True])
def test_other_text_and_numbers_stay(value: Any) -> None:
    assert harmless(value) == value
    assert not isinstance(value, str) or original(value) == value


@given(st.text() | st.sampled_from(FORMULAS))
def test_the_way_back_is_exact(text: str) -> None:
    assert original(harmless(text)) == text


@given(rows=st.lists(st.fixed_dictionaries({"content_id": TEXT, "reason": TEXT, "confidence": st.floats(-1, 1)})))
def test_an_export_is_read_as_it_was_written(rows: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    path: Path = tmp_path_factory.mktemp("export") / "decisions.csv"
    known = {"decided_at": datetime(2026, 1, 1, tzinfo=UTC), "labels": ["spam", "hate"]}
    with path.open("wb") as file, writer_for("csv", file, DECISIONS) as write:
        write([{**dict.fromkeys(DECISIONS.names), **known, **row} for row in [{"content_id": "first"}, *rows]])
    read = [row.values for row in read_rows(str(path), ReadAs(text_column="reason"))][1:]
    assert [(r["content_id"], r["reason"], float(r["confidence"])) for r in read if isinstance(r, dict)] == [
        (row["content_id"], row["reason"], row["confidence"]) for row in rows
    ]
    for line in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
        assert not line["content_id"][:1] or line["content_id"][0] not in SIGNS + "\t\r\n"
        assert not line["confidence"].startswith("'"), "a number stays one"
