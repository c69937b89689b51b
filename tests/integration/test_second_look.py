"""What becomes of a second look: a review like any other, by somebody who has not judged the item."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from secondlook.common.contract.events import SecondLookRequested, Why, decision_id, first_sequence
from tests.integration.review_world import GRACE, START, World, cancelled, prior, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


def again(content_id: str, revision: int = 1) -> SecondLookRequested:
    return SecondLookRequested(
        source="forum", content_id=content_id, revision=revision, reason="spam: people said yes", requested_at=START
    )


async def settled(world: World, *labels: str, **more: Any) -> None:
    """Item `a` has been judged by one reviewer, and that is published; no labels approve."""
    await world.request(requested("a", **more))
    [task] = await world.claim(name="first")
    await (world.reject(task, *labels, name="first") if labels else world.approve(task, name="first"))
    await world.publish()


async def dead_letters(world: World) -> list[str]:
    return [row["reason"] for row in await world.database.pool.fetch("SELECT reason FROM dead_letter ORDER BY detail")]


async def test_somebody_else_gets_it_and_cannot_tell(world: World) -> None:
    await settled(world, "spam", queue="photos", priority=3)
    await world.request(again("a"), requested("b", queue="photos", priority=3))
    [other] = await world.claim(5, name="first")
    assert other["content"]["content_id"] == "b", "not who judged it before"
    await world.act(other, "release", name="first")
    tasks = {task["content"]["content_id"]: task for task in await world.claim(5, name="second")}
    told = ("task_id", "lease_token", "content")
    shown, plain = ({k: v for k, v in tasks[name].items() if k not in told} for name in ("a", "b"))
    assert shown == plain
    assert shown["why"] == "review"
    assert tasks["a"]["scores"] is None
    assert tasks["a"]["content"]["text"] == "text of a"


async def test_one_that_confirms_publishes_a_label_and_no_decision(world: World) -> None:
    await settled(world, "spam", "hate")
    await world.request(again("a"))
    [task] = await world.claim(name="second")
    await world.reject(task, "hate", "spam", name="second")
    assert await world.publish() == 1
    [decision] = await world.published("moderation.decided")
    first, second = await world.published("review.labelled")
    assert second["decision_id"] == decision["decision_id"]
    same = ("labels", "inclusion_probability", "stratum", "scores", "bundle_version", "text", "revision", "adjudicated")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert first["label_id"] != second["label_id"]
    assert first["reviewer"] != second["reviewer"]


async def test_one_that_contradicts_supersedes_the_decision(world: World) -> None:
    await settled(world)
    await world.request(again("a"))
    [task] = await world.claim(name="second")
    await world.reject(task, "spam", name="second")
    await world.publish()
    before, decision = await world.published("moderation.decided")
    assert decision["reason"] == "reviewed: second_look"
    assert (decision["outcome"], decision["labels"], decision["action"]) == ("reject", ["spam"], "hide")
    assert (decision["supersedes"], decision["sequence"]) == (before["decision_id"], before["sequence"] + 1)
    assert decision["decision_id"] == str(decision_id("forum", "a", 1, first_sequence(1) + 1))
    label = (await world.published("review.labelled"))[-1]
    assert label["decision_id"] == decision["decision_id"]
    assert label["labels"] == {"spam": True, "hate": False, "csam": False}


async def test_one_after_an_audit_counts_on_from_it(world: World) -> None:
    """The model approved, the audit overturned that, the second look takes that back."""
    await settled(world, "spam", why=Why.AUDIT, prior=prior("a", "approve"))
    await world.request(again("a"))
    [task] = await world.claim(name="second")
    await world.approve(task, name="second")
    await world.publish()
    audit, decision = await world.published("moderation.decided")
    assert decision["supersedes"] == audit["decision_id"]
    assert decision["sequence"] == audit["sequence"] + 1 == first_sequence(1) + 2


async def test_repeats_change_nothing(world: World) -> None:
    await settled(world)
    await world.request(again("a"), again("a"))
    [task] = await world.claim(5, name="second")
    await world.request(again("a"))
    await world.reject(task, "spam", name="second")
    await world.publish()
    await world.request(again("a"))
    assert await world.claim(5, name="third") == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM task") == 2
    assert await dead_letters(world) == []


async def test_two_who_judged_it_are_both_left_out_and_two_opinions_are_asked_again(world: World) -> None:
    await settled(world, "csam")
    [task] = await world.claim(name="second")
    await world.reject(task, "csam", name="second")
    await world.publish()
    await world.request(again("a"))
    for name in ("first", "second"):
        assert await world.claim(name=name) == []
    [task] = await world.claim(name="third")
    assert (await world.reject(task, "csam", name="third"))["state"] == "second_opinion"
    world.clock.turn(GRACE)
    for name in ("first", "second", "third"):
        assert await world.claim(name=name) == []
    [task] = await world.claim(role="lead")
    assert (await world.reject(task, "csam", role="lead"))["state"] == "decided"
    await world.publish()
    assert len(await world.published("moderation.decided")) == 1


async def test_a_verdict_that_was_undone_is_one_too(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="hasty")
    said = await world.approve(task, name="hasty")
    await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="hasty")
    [task] = await world.claim(name="first")
    await world.approve(task, name="first")
    await world.publish()
    await world.request(again("a"))
    assert await world.claim(name="hasty") == []
    assert len(await world.claim(name="second")) == 1


async def test_where_everybody_has_judged_it_it_waits_for_the_next_to_come(world: World) -> None:
    await settled(world)
    await world.request(again("a"))
    assert await world.claim(name="first") == []
    [queue] = [q for q in (await world.call("GET", "/queues")).json()["queues"] if q["name"] == "default"]
    assert queue["pending"] == 1
    assert len(await world.claim(name="newcomer")) == 1


@pytest.mark.parametrize("why", ["superseded", "withdrawn"])
async def test_what_is_gone_by_now_is_not_looked_at_again(world: World, why: str) -> None:
    await settled(world)
    await world.request(cancelled("a", 1, why))
    await world.request(again("a"))
    assert await world.claim(name="second") == []
    assert sorted(row["state"] for row in await world.database.pool.fetch("SELECT state FROM task")) == [
        "published",
        why,
    ]
    await world.request(requested("b"), cancelled("b", 1, why), again("b"))
    assert await dead_letters(world) == [], "also in one batch"


async def test_what_goes_while_it_waits_is_closed(world: World) -> None:
    await settled(world)
    await world.request(again("a"))
    [task] = await world.claim(name="second")
    await world.request(requested("a", 2))
    assert (await world.reject(task, "spam", name="second", status=409))["code"] == "superseded"
    [task] = await world.claim(5, name="second")
    assert task["content"]["revision"] == 2


async def test_what_is_unknown_unsettled_or_gold_is_set_aside_and_works_later(world: World) -> None:
    await world.request(requested("a"), requested("gold", why=Why.GOLD))
    for task in await world.claim(2, name="first"):
        await world.approve(task, name="first")
    await world.request(again("a"), again("gold"), again("unheard-of"), requested("b"))
    assert sorted(await dead_letters(world)) == ["not_settled", "unknown_revision", "unknown_revision"]
    [task] = await world.claim(5, name="second")
    assert task["content"]["content_id"] == "b", "the rest of the batch goes on"
    await world.publish()
    await world.request(again("a"))
    [task] = await world.claim(5, name="third")
    assert task["content"]["content_id"] == "a"


@pytest.mark.parametrize("way_out", ["skip", "escalate"])
async def test_who_gave_it_away_for_good_does_not_get_it_either(world: World, way_out: str) -> None:
    """They would know what it is: nobody is given the same item twice unless it is looked at again."""
    for name in ("second", "third"):
        await world.key("reviewer", name)
    await world.request(requested("a"))
    [task] = await world.claim(name="second")
    await world.act(task, way_out, name="second")
    judge: dict[str, Any] = {"name": "lead", "role": "lead"} if way_out == "escalate" else {"name": "first"}
    [task] = await world.claim(**judge)
    await world.approve(task, **judge)
    await world.publish()
    await world.request(again("a"))
    assert await world.claim(**judge) == await world.claim(name="second") == []
    assert len(await world.claim(name="third")) == 1
