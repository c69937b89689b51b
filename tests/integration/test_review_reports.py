"""What users report, as reviewers see it, and the decisions that answer it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from secondlook.common.contract.events import Coin, Why, review_id
from secondlook.common.contract.reports import RaisedReview, ReviewReported
from secondlook.reviewer_api.reports.repository import answered
from tests.integration.review_world import START, World, prior, requested
from tests.integration.test_reviewer_api_reads import decision, log

COIN = Coin(u=0.25, inclusion_probability=1.0, stratum="reported")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


def told(content_id: str, number: int = 0, at: datetime = START, **more: Any) -> ReviewReported:
    fields: dict[str, Any] = {"reason": "spam", "note": None, "raised": None, **more}
    return ReviewReported(
        source="forum", content_id=content_id, report_id=f"{content_id}.{number}", reported_at=at, received_at=at,
        **fields,
    )  # fmt: skip


async def test_reviewers_read_reasons_and_notes_and_nobody_who_reported(world: World) -> None:
    reports = [told("a", n, START + timedelta(minutes=n), note=f"note {n}") for n in range(7)]
    await world.request(*reports, reports[0], told("a", 7, reason="hate", note=""), told("b", 1))
    await world.request(requested("a", why=Why.REPORTED, prior=prior("a", "approve"), coin=COIN))
    [task] = await world.claim()
    assert (task["why"], task["content"]["content_id"]) == ("review", "a")
    context = (await world.call("GET", f"/review/tasks/{task['task_id']}/context")).json()
    expected = [
        {"reason": "spam", "reports": 7, "notes": [f"note {n}" for n in range(2, 7)]},
        {"reason": "hate", "reports": 1, "notes": []},
    ]
    assert context["reports"] == expected
    seen = (await world.call("GET", "/content/forum/a", role="lead")).json()
    assert seen["reports"] == [], "while it is in review"
    await world.approve(task)
    await world.publish()
    assert (await world.call("GET", "/content/forum/a", role="lead")).json()["reports"] == expected
    assert (await world.call("GET", "/content/forum/a")).json()["reports"] == [], "a reviewer reads their own verdict"


async def test_an_approval_that_reports_put_in_question_is_published_and_measures_nothing(world: World) -> None:
    await world.request(*(requested(name, why=Why.REPORTED, prior=prior(name, "approve"), coin=COIN) for name in "ab"))
    for task in await world.claim(2):
        await (world.approve(task) if task["content"]["content_id"] == "a" else world.reject(task, "spam"))
    await world.publish()
    decisions = {body["content_id"]: body for body in await world.published("moderation.decided")}
    assert {name: body["outcome"] for name, body in decisions.items()} == {"a": "approve", "b": "reject"}
    for name, body in decisions.items():
        before = prior(name, "approve")
        assert (body["sequence"], body["supersedes"]) == (before.sequence + 1, str(before.decision_id))
    for label in await world.published("review.labelled"):
        assert (label["inclusion_probability"], label["stratum"], label["audited"]) == (None, "reported", None)


async def test_reports_move_the_review_they_name_forward_and_never_back(world: World) -> None:
    await world.request(requested("early", priority=50), requested("late", priority=10))
    place = RaisedReview(review_id=review_id("forum", "late", 1, Why.UNCERTAIN), priority=90)
    less = RaisedReview(review_id=review_id("forum", "early", 1, Why.UNCERTAIN), priority=20)
    await world.request(told("late", raised=place), told("early", raised=less))
    assert [task["content"]["content_id"] for task in await world.claim(2)] == ["late", "early"]


async def test_decisions_name_the_reports_that_they_answer(world: World) -> None:
    await world.request(*(told("a", n, START + timedelta(hours=2 * n)) for n in range(3)), told("b"))
    made = [
        decision("a"),  # the model's
        decision("a", 1, by="reviewer-1", step=1, seconds=3600),
        decision("a", 1, by="lead-1", step=2, seconds=3 * 3600),  # corrects the one before
        decision("a", 2, by="reviewer-1", seconds=5 * 3600),
        decision("c", 1, by="reviewer-1"),
    ]
    await log(world, *made)
    async with world.database.pool.acquire() as connection:
        found = await answered(connection, [one.decision_id for one in made])
        assert await answered(connection, []) == {}
        assert await answered(connection, [UUID(int=0)]) == {}
    assert found == {
        made[1].decision_id: ["a.0"], made[2].decision_id: ["a.0", "a.1"], made[3].decision_id: ["a.2"],
    }  # fmt: skip


async def test_answers_to_a_page_of_automatic_decisions_read_no_reports(world: World) -> None:
    await world.request(*(told("a", n) for n in range(50)))
    made = [decision(f"c{n}") for n in range(200)]
    await log(world, *made)
    async with world.database.pool.acquire() as connection:
        assert await answered(connection, [one.decision_id for one in made]) == {}
