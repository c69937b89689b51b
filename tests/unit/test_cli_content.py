"""Filling rows up to a ContentSubmitted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from secondlook.cli.files.content import Filling, fill, source_name
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import Source
from secondlook.common.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BARE_ID = "row-7-2cf24dba"  # sha256 of "hello"


def filled(row: dict[str, Any], number: int = 7) -> dict[str, Any]:
    return fill(number, row, Filling("posts"), NOW)[0]


def test_a_bare_text_becomes_valid_content() -> None:
    content = filled({"text": "hello"})
    event = ContentSubmitted.model_validate({**content, "created_at": NOW})
    assert (event.source, event.content_id, event.revision, event.kind) == ("posts", BARE_ID, 1, "text")
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
        ({"id": None}, BARE_ID),
        ({"id": "None"}, BARE_ID),
        ({"id": ""}, BARE_ID),
        ({"content_id": "NaN", "id": "i"}, "i"),
        ({"id": 1.5}, "1.5"),
        ({"id": 17.0}, "17"),
        ({"id": "17.0"}, "17"),
        ({"id": "1.10"}, "1.10"),
        ({"id": float("nan")}, BARE_ID),
        ({"id": "<NA>"}, BARE_ID),
        ({"content_id": "N/A", "id": "i"}, "i"),
    ],
)
def test_content_id(row: dict[str, Any], expected: str) -> None:
    assert filled({"text": "hello", **row})["content_id"] == expected


def test_an_id_that_is_made_up_holds_for_this_text_in_this_row_alone() -> None:
    ids = [filled({"text": text}, number)["content_id"] for number, text in ((1, "a"), (1, "b"), (2, "a"), (1, "a"))]
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3
    assert filled({"text": "\ud800"})["content_id"].startswith("row-7-")


@pytest.mark.parametrize("name", ["content_id", "id"])
@pytest.mark.parametrize("value", [True, False, float("inf"), float("-inf"), [1], {"a": 1}, b"a"])
def test_what_can_be_no_id_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: is neither text nor a finite number"):
        filled({"text": "hello", name: value})


def test_an_author_that_is_a_boolean_is_passed_on_for_the_router_to_refuse() -> None:
    assert filled({"text": "a", "author_id": True})["author_id"] is True


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
    content = filled({**row, "reach": "4100"})
    assert (content["revision"], content["attributes"], content["author_id"]) == (2, {"n": 1}, "5")
    assert content["reach"] == 4100
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
