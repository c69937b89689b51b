"""Cells as programs write them: nothing, whole numbers, and what a cell says of labels."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.cli.files.answers import answers
from secondlook.cli.files.content import Filling, fill
from secondlook.cli.files.judgements import Labelling, judgement, pseudonym
from secondlook.cli.files.names import suggestion
from secondlook.cli.files.values import is_nothing, whole
from secondlook.common.clock import SystemClock
from secondlook.common.errors import InvalidInput

NOW = SystemClock().now()
EMPTY = [
    "",
    " ",
    "NaN",
    "nan",
    "NaT",
    "<NA>",
    "None",
    "N/A",
    "n/a",
    "NA",
    "null",
    "NULL",
    "#N/A",
    "-nan",
    None,
    math.nan,
]


@pytest.mark.parametrize("value", EMPTY)
def test_nothing_in_its_many_spellings_fills_no_field(value: Any) -> None:
    assert is_nothing(value)
    row = {name: value for name in ("id", "lang", "author_id", "revision", "reports", "created_at", "attributes")}
    content, ignored = fill(3, {"text": "a", **row}, Filling("s"), NOW)
    assert set(content) == {"source", "content_id", "revision", "kind", "text", "created_at"}
    assert content["content_id"].startswith("row-3-")
    assert ignored == []
    with pytest.raises(InvalidInput, match="no label is judged"):
        answers({"spam": value, "labels": value}, "labels", ["spam"], ()).to({"spam": "spam"})


@pytest.mark.parametrize("value", ["0", "no", "nobody", "nane", 0, 0.0, False, [], {}])
def test_everything_else_is_something(value: Any) -> None:
    assert not is_nothing(value)


def test_a_text_may_say_nothing_in_words() -> None:
    assert fill(1, {"text": "None"}, Filling("s"), NOW)[0]["text"] == "None"


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_float_is_its_number(number: int) -> None:
    assert whole(float(number)) == number
    assert whole(f"{number}.0") == str(number)
    assert isinstance(whole(float(number)), int)


@pytest.mark.parametrize("value", ["1.5", 1.5, "1.", ".0", "a.0", "1.0.0", 1e300, "", None, True, "007"])
def test_other_values_stay(value: Any) -> None:
    assert whole(value) == value


def test_numbers_that_were_floats() -> None:
    row = {"text": "a", "id": "17.0", "author_id": 5.0, "revision": "2.0", "reports": 3.0}
    content, _ = fill(1, row, Filling("s"), NOW)
    assert (content["content_id"], content["author_id"], content["revision"], content["reports"]) == ("17", "5", 2, 3)


@pytest.mark.parametrize("value", [1.7014118346046923e18, "1.70141183460469E+18", float(2**53)])
def test_an_id_that_lost_its_last_digits_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="id: is a number without its last digits; store ids as text"):
        fill(1, {"text": "a", "id": value}, Filling("s"), NOW)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("spam", ["spam"]),
        ("spam,hate", ["spam", "hate"]),
        ("spam; hate", ["spam", "hate"]),
        ("spam|hate", ["spam", "hate"]),
        ("spam#hate", ["spam", "hate"]),
        ("spam hate", ["spam", "hate"]),
        ("Hate speech", ["Hate speech"]),
        ("hate speech", ["hate speech"]),
        ("spam, Hate speech", ["spam", "Hate speech"]),
        ('["spam", "hate"]', ["spam", "hate"]),
        ("['spam', \"hate\"]", ["spam", "hate"]),
        ("['spam' 'hate']", ["spam", "hate"]),
        ("['spam'\n 'hate']", ["spam", "hate"]),
        ("[]", []),
        ('{"choices": ["spam", "hate"]}', ["spam", "hate"]),
        ({"choices": ["spam"]}, ["spam"]),
        (["spam", " hate "], ["spam", "hate"]),
    ],
)
def test_names_in_one_cell(cell: Any, names: list[str]) -> None:
    found = answers({"labels": cell}, "labels", (), ("spam", "hate"))
    assert found.listed
    assert found.flags == dict.fromkeys(names, True)


@pytest.mark.parametrize(
    "cell", ["{", "[spam", "['spam', 1]", '["spam", 1]', [["spam"]], 1, True, 0.5, "1", "-1", "true"]
)
def test_what_holds_no_names_is_refused(cell: Any) -> None:
    with pytest.raises(InvalidInput, match="labels: "):
        answers({"labels": cell}, "labels", (), ("spam",))


def test_a_label_that_is_not_asked_for_may_be_anything() -> None:
    found = answers({"labels": {"spam": 1, "score": 0.7}}, "labels", ["spam"], ())
    assert found.to({"spam": "spam"}) == {"spam": True}
    assert set(found.flags) == {"spam", "score"}


@pytest.mark.parametrize(
    ("name", "written"), [("Hate Speech", "hate_speech"), ("NOT", "not"), ("9", "NAME"), ("ü", "NAME")]
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(name: str, written: str) -> None:
    with pytest.raises(InvalidInput, match=f'give it one: --label {written}="{name}"'):
        answers({"labels": [name]}, "labels", (), ()).to({})


def test_a_long_name_is_not_shown() -> None:
    for text in ("some words of somebody else", "x" * 65):
        with pytest.raises(InvalidInput, match="is it the right column") as refused:
            answers({"labels": [text]}, "labels", (), ()).to({})
        assert text not in str(refused.value)


def test_each_row_may_name_its_reviewer() -> None:
    labelling = Labelling("s", "imported", reviewer_column="who")
    rows = [{"text": "a", "who": who, "labels": ["spam"]} for who in ("ann", 7.0, "Ann@Example.org", "ann@example.org")]
    found = [judgement(number, row, labelling, NOW) for number, row in enumerate(rows)]
    assert len({event.content_id for event in found}) == 1, "rows of one text are one item"
    assert [event.reviewer for event in found[:2]] == ["ann", "7"]
    assert found[2].reviewer == found[3].reviewer
    assert found[2].reviewer.startswith("person-")
    assert len({event.label_id for event in found}) == 3
    for who in (None, "NaN", ["ann"], True):
        with pytest.raises(InvalidInput, match="who: names nobody"):
            judgement(1, {"text": "a", "who": who, "labels": ["spam"]}, labelling, NOW)


@given(st.text(max_size=30))
def test_no_address_of_a_person_is_kept(name: str) -> None:
    assert "@" not in pseudonym(f"{name}@example.org")
    assert pseudonym(name.replace("@", "")) == name.replace("@", "")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("spm", ["hate", "spam"], " (did you mean 'spam'?)"),
        ("SPAM", ["spam"], " (did you mean 'spam'?)"),
        ("text", ["id", "Texte"], " (did you mean 'Texte'?)"),
        ("violence", ["spam"], ""),
        ("spam", [], ""),
        ("x" * 10_000, ["x" * 10_000], ""),
    ],
)
def test_the_nearest_name_is_suggested(name: str, known: list[str], expected: str) -> None:
    assert suggestion(name, known) == expected
