"""Filling rows up to a ContentSubmitted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.cli.content import Filling, fill, source_name
from services.common.errors import InvalidInput
from services.common.events import ContentSubmitted
from services.common.fields import Source

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def filled(row: dict[str, Any], number: int = 7) -> dict[str, Any]:
    return fill(number, row, Filling("posts"), NOW)[0]


def test_a_bare_text_becomes_valid_content() -> None:
    content = filled({"text": "hello"})
    event = ContentSubmitted.model_validate({**content, "created_at": NOW})
    assert (event.source, event.content_id, event.revision, event.kind) == ("posts", "row-7", 1, "text")
    assert content["created_at"] == "2026-01-01T00:00:00+00:00"


def test_a_full_row_stays_as_it_is() -> None:
    row = {
        "source": "forum", "content_id": "a/1", "revision": 3, "kind": "comment", "text": "hello", "language": "en",
        "author_id": "u1", "created_at": "2025-05-05T05:05:05Z", "context": {"title": "t"}, "attributes": {"n": 1},
        "reports": 2,
    }  # fmt: skip
    assert fill(1, row, Filling("posts"), NOW) == (row, [])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"content_id": "c", "id": "i"}, "c"),
        ({"id": "i"}, "i"),
        ({"id": 12}, "12"),
        ({"id": 0}, "0"),
        ({"id": None}, "row-7"),
        ({"id": "None"}, "row-7"),
        ({"id": ""}, "row-7"),
        ({"content_id": "NaN", "id": "i"}, "i"),
        ({"content_id": float("nan")}, "row-7"),
    ],
)
def test_content_id(row: dict[str, Any], expected: str) -> None:
    assert filled({"text": "hello", **row})["content_id"] == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"lang": "en"}, "en"),
        ({"language": "de", "lang": "en"}, "de"),
        ({"lang": "en_US"}, "en-US"),
        ({"lang": ""}, None),
    ],
)
def test_language(row: dict[str, Any], expected: str | None) -> None:
    assert filled({"text": "hello", **row}).get("language") == expected


def test_unknown_columns_are_left_out_and_named() -> None:
    content, ignored = fill(
        1, {"text": "a", "labels": {"x": 1}, "meta": {}, "lang": "en", "id": "1"}, Filling("s"), NOW
    )
    assert ignored == ["labels", "meta"]
    assert set(content) == {"source", "content_id", "revision", "kind", "text", "created_at", "language"}


def test_a_context_that_is_no_object_is_an_unknown_column() -> None:
    content, ignored = fill(1, {"text": "a", "context": ["earlier", "turns"], "attributes": None}, Filling("s"), NOW)
    assert ignored == ["context"]
    assert "context" not in content


def test_fields_as_csv_holds_them() -> None:
    row = {"text": "a", "revision": "2", "reports": "", "attributes": '{"n": 1}', "context": "", "author_id": "5"}
    content = filled(row)
    assert (content["revision"], content["attributes"], content["author_id"]) == (2, {"n": 1}, "5")
    assert not {"reports", "context"} & set(content)


def test_a_number_that_is_none_is_passed_on_for_the_router_to_refuse() -> None:
    assert filled({"text": "a", "revision": "two"})["revision"] == "two"


def test_parquet_times_without_a_zone_are_utc() -> None:
    assert filled({"text": "a", "created_at": datetime(2025, 5, 5)})["created_at"] == "2025-05-05T00:00:00+00:00"  # noqa: DTZ001


@pytest.mark.parametrize("row", [{}, {"text": None}, {"text": 5}, {"text": ["a"]}])
def test_a_row_without_text_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="text"):
        filled(row)


def test_another_text_column() -> None:
    content, ignored = fill(1, {"body": "a", "text": "b"}, Filling("s", text_column="body"), NOW)
    assert content["text"] == "a"
    assert ignored == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/My Posts.jsonl.gz", "my-posts"), ("posts.csv", "posts"), ("-", "stdin"), (".hidden", "import"),
        ("Größe.csv", "gr-e"), ("x" * 100, "x" * 64), ("---.csv", "import"), ("日本.csv", "import"),
    ],
)  # fmt: skip
def test_source_name_is_always_valid(path: str, expected: str) -> None:
    assert source_name(path) == expected
    TypeAdapter(Source).validate_python(source_name(str(Path(path))))
