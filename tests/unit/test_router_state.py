"""Whom a canary decides for, and which records a stage takes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from secondlook.common.contract.events import BundlePublished, ContentSubmitted
from secondlook.router.state import Canary, InForce
from tests.integration.router_world import SECRET, content

ITEMS = [content(f"c{number}") for number in range(4_000)]
NOTHING = InForce(None, None, None)
RECORD: dict[str, Any] = {
    "bundle_version": "b1", "uri": "file:///b1", "sha256": "a" * 64, "published_at": datetime(2025, 6, 1, tzinfo=UTC),
}  # fmt: skip


def taken(share: float, items: list[ContentSubmitted] = ITEMS) -> set[str]:
    canary = Canary(NOTHING, share)
    return {item.content_id for item in items if canary.takes(item, SECRET)}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_canary_takes_its_share(share: float) -> None:
    deviation = (share * (1 - share) / len(ITEMS)) ** 0.5
    assert len(taken(share)) / len(ITEMS) == pytest.approx(share, abs=4 * deviation)


def test_a_share_of_one_is_all_and_a_larger_share_keeps_what_a_smaller_one_has() -> None:
    assert len(taken(1)) == len(ITEMS)
    assert taken(0) == set()
    assert taken(0.1) < taken(0.3) < taken(0.9)


def test_all_revisions_of_a_content_go_the_same_way() -> None:
    assert taken(0.3) == taken(0.3, [item.model_copy(update={"revision": 7, "text": "other"}) for item in ITEMS])


def test_the_share_says_nothing_about_the_audit_coin() -> None:
    audited = {item.content_id for item in ITEMS if SECRET.flip(item) < 0.3}
    both = taken(0.3) & audited
    assert len(both) / len(audited) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / len(audited)) ** 0.5)


@pytest.mark.parametrize(
    "body",
    [
        {"stage": "active"},
        {"stage": "shadow"},
        {"stage": "shadow", "in_force": False},
        {"stage": "canary", "share": 1.0},
        {"stage": "canary", "share": 0.001},
        {"stage": "canary", "in_force": False},
        {"stage": "canary", "share": 0.1, "in_force": False},
    ],
)
def test_records_that_fit_their_stage(body: dict[str, Any]) -> None:
    event = BundlePublished(**RECORD, **body)
    assert BundlePublished.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"stage": "canary"}, "needs a share"),
        ({"stage": "canary", "share": 1.001}, "less than or equal to 1"),
        ({"stage": "canary", "share": -0.1}, "greater than or equal to 0"),
        ({"stage": "canary", "share": float("nan")}, "finite"),
        ({"stage": "active", "share": 0.1}, "only a canary"),
        ({"stage": "shadow", "share": 0.1}, "only a canary"),
        ({"stage": "active", "in_force": False}, "never empty"),
    ],
)
def test_records_that_do_not_fit_their_stage_are_refused(body: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        BundlePublished(**RECORD, **body)
