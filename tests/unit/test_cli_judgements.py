"""Rows of labelled data as judgements."""

from datetime import UTC, datetime
from typing import Any

import pytest

from secondlook.cli.files.judgements import Labelling, judgement
from secondlook.common.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def labels(row: dict[str, Any], *names: str) -> dict[str, bool]:
    return judgement(
        1, {"text": "a", "id": "1", **row}, Labelling("posts", "ann", {name: name for name in names}), NOW
    ).labels


@pytest.mark.parametrize(
    ("row", "names", "expected"),
    [
        ({"labels": {"spam": 1, "hate": 0}}, (), {"spam": True, "hate": False}),
        ({"labels": {"spam": True, "hate": "false"}}, (), {"spam": True, "hate": False}),
        ({"labels": {"spam": 1.0, "hate": None}}, (), {"spam": True}),
        ({"labels": {"spam": 1, "hate": 0}}, ("hate",), {"hate": False}),
        ({"labels": ["spam"]}, (), {"spam": True}),
        ({"labels": "spam"}, (), {"spam": True}),
        ({"labels": ["spam"]}, ("spam", "hate"), {"spam": True, "hate": False}),
        ({"labels": []}, ("spam", "hate"), {"spam": False, "hate": False}),
        ({"labels": '{"spam": 1}'}, (), {"spam": True}),
        ({"labels": [("spam", 1), ("hate", 0)]}, (), {"spam": True, "hate": False}),
        ({"spam": "1", "hate": "0", "other": "x"}, ("spam", "hate"), {"spam": True, "hate": False}),
        ({"spam": "TRUE", "hate": ""}, ("spam", "hate"), {"spam": True}),
    ],
)
def test_labels(row: dict[str, Any], names: tuple[str, ...], expected: dict[str, bool]) -> None:
    assert labels(row, *names) == expected


def test_a_label_of_the_policy_in_force_may_have_a_reserved_name() -> None:
    labelling = Labelling("posts", "ann", known=("all",))
    assert judgement(1, {"text": "a", "id": "1", "labels": {"all": 1}}, labelling, NOW).labels == {"all": True}


@pytest.mark.parametrize(
    ("row", "names", "problem"),
    [
        ({}, (), "no label"),
        ({"labels": {}}, (), "no label"),
        ({"labels": []}, (), "no label"),
        ({"labels": {"spam": None}}, (), "no label"),
        ({"labels": {"spam": 2}}, (), "labels.spam"),
        ({"labels": {"approve": 1}}, (), "labels.approve: is reserved"),
        ({"labels": ["all", "spam"]}, (), "labels.all: is reserved"),
        ({"review": 1}, ("review",), "labels.review: is reserved"),
        ({"labels": {"spam": 0.7}}, (), "labels.spam"),
        ({"labels": {"spam": "yes"}}, (), "labels.spam"),
        ({"labels": {"Not A Name": 1}}, (), "labels"),
        ({"labels": 1}, (), "is a number and no name"),
        ({"labels": [1]}, (), "not of names"),
        ({"labels": {"spam": 1}, "text": ""}, (), "text"),
        ({"labels": {"spam": 1}, "text": None}, (), "text: is missing"),
        ({"labels": {"spam": 1}, "text": "x" * 200_001}, (), "text"),
        ({"labels": {"spam": 1}, "id": "has space"}, (), "content_id"),
        ({"labels": {"spam": 1}, "id": True}, (), "id: is neither"),
        ({"labels": {"spam": 1}, "id": float("inf")}, (), "id: is neither"),
        ({"labels": {"spam": 1}, "source": "Not Valid"}, (), "source"),
    ],
)
def test_refused(row: dict[str, Any], names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        labels(row, *names)


def test_what_an_import_says_of_every_row() -> None:
    row = {"text": "a", "id": "1", "lang": "en", "labels": {"spam": 1}}
    event = judgement(9, row, Labelling("posts", "ann"), NOW)
    assert (event.stratum, event.inclusion_probability, event.adjudicated, event.decision_id) == (
        "imported", None, True, None,
    )  # fmt: skip
    assert (event.reviewer, event.labelled_at, event.revision, event.language) == ("ann", NOW, 1, "en")


def test_the_id_is_that_of_source_content_and_reviewer() -> None:
    def label_id(text: str = "a", identity: str = "1", reviewer: str = "ann", source: str = "posts") -> object:
        row = {"text": text, "id": identity, "labels": {"spam": 1}}
        return judgement(1, row, Labelling(source, reviewer), NOW).label_id

    assert label_id() == label_id(text="b")
    assert len({label_id(), label_id(identity="2"), label_id(reviewer="bob"), label_id(source="other")}) == 4


def test_without_ids_other_texts_are_other_content() -> None:
    def made(text: str) -> object:
        return judgement(1, {"text": text, "labels": {"spam": 1}}, Labelling("posts", "ann"), NOW).label_id

    assert made("a") == made("a")
    assert made("a") != made("b")
