"""Second opinions, escalation of disagreement, audits, appeals and gold items."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from secondlook.common.contract.events import Why, decision_id, first_sequence
from tests.integration.review_world import GRACE, World, code_of, prior, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def first_opinion(world: World) -> Any:
    """One reviewer has rejected item `a` with a label that takes two."""
    await world.request(requested("a"))
    [task] = await world.claim(name="first")
    said = await world.reject(task, "csam", name="first")
    assert said["state"] == "second_opinion"
    return said


async def test_a_second_reviewer_is_asked_blindly_after_the_grace(world: World) -> None:
    await first_opinion(world)
    assert await world.claim(name="second") == []
    world.clock.turn(GRACE)
    assert await world.claim(name="first") == []
    [task] = await world.claim(name="second")
    assert task["scores"] is None
    assert task["why"] == "review"
    assert (await world.caller("reviewer", "first")).subject not in str(task)


async def test_two_who_agree_decide(world: World) -> None:
    said = await first_opinion(world)
    world.clock.turn(GRACE)
    [task] = await world.claim(name="second")
    again = await world.reject(task, "csam", name="second")
    assert (again["state"], again["decision_id"]) == ("decided", said["decision_id"])
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert decision["decided_by"] == (await world.caller("reviewer", "second")).subject
    labels = await world.published("review.labelled")
    assert [label["adjudicated"] for label in labels] == [True, True]
    assert len({label["reviewer"] for label in labels}) == 2


async def test_two_who_disagree_leave_it_to_a_lead(world: World) -> None:
    await first_opinion(world)
    world.clock.turn(GRACE)
    [task] = await world.claim(name="second")
    assert (await world.approve(task, name="second"))["state"] == "escalated"
    world.clock.turn(GRACE)
    assert await world.claim(name="third") == []
    [task] = await world.claim(role="lead")
    assert task["queue"] == "leads"
    assert (await world.reject(task, "spam", role="lead"))["state"] == "decided"
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert decision["labels"] == ["spam"]
    labels = await world.published("review.labelled")
    settled = {label["reviewer"]: label["adjudicated"] for label in labels}
    lead = (await world.caller("lead")).subject
    assert len(settled) == 3
    assert [reviewer for reviewer, settles in settled.items() if settles] == [lead]


async def test_a_first_opinion_can_be_undone_within_its_grace_only(world: World) -> None:
    said = await first_opinion(world)
    path = f"/decisions/{said['decision_id']}/undo"
    assert (await world.call("POST", path, name="second")).status_code == 403
    assert (await world.call("POST", path, name="first")).status_code == 200
    [task] = await world.claim(name="first")  # not excluded any more
    await world.reject(task, "csam", name="first")
    world.clock.turn(GRACE)
    assert code_of(await world.call("POST", path, name="first")) == "409 second_opinion"
    [task] = await world.claim(name="second")
    await world.reject(task, "csam", name="second")
    assert code_of(await world.call("POST", path, name="first")) == "409 second_opinion"


async def test_undoing_the_verdict_that_escalated_returns_the_item_to_its_queue(world: World) -> None:
    said = await first_opinion(world)
    world.clock.turn(GRACE)
    [task] = await world.claim(name="second")
    await world.reject(task, "spam", name="second")
    undone = await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="second")
    assert undone.json()["queue"] == "default"
    [task] = await world.claim(name="second")
    assert (await world.reject(task, "csam", name="second"))["state"] == "decided"


async def test_repeating_a_first_opinion_gets_the_same_answer_while_another_holds_the_item(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="first")
    said = await world.reject(task, "csam", name="first")
    world.clock.turn(GRACE)
    await world.claim(name="second")
    assert await world.reject(task, "csam", name="first") == said


async def test_an_audit_that_confirms_publishes_a_label_and_no_decision(world: World) -> None:
    before = prior("a", "reject", "spam", "hate")
    await world.request(requested("a", why=Why.AUDIT, prior=before))
    [task] = await world.claim()
    await world.reject(task, "hate", "spam")
    assert await world.publish() == 1
    assert await world.published("moderation.decided") == []
    [label] = await world.published("review.labelled")
    assert label["decision_id"] == str(before.decision_id)
    assert label["adjudicated"] is True
    assert label["audited"] == before.model_dump(mode="json")


async def test_an_audit_that_overturns_supersedes_the_prior_decision(world: World) -> None:
    before = prior("a", "approve")
    await world.request(requested("a", why=Why.AUDIT, prior=before))
    [task] = await world.claim()
    await world.reject(task, "spam")
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert decision["sequence"] == before.sequence + 1
    assert decision["supersedes"] == str(before.decision_id)
    assert decision["decision_id"] == str(decision_id("forum", "a", 1, first_sequence(1) + 1))


async def test_an_appeal_publishes_its_decision_also_when_it_confirms(world: World) -> None:
    before = prior("a", "approve")
    await world.request(requested("a", why=Why.APPEAL, prior=before))
    [task] = await world.claim()
    assert (task["why"], task["scores"]) == ("appeal", None)
    await world.approve(task)
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert (decision["outcome"], decision["supersedes"]) == ("approve", str(before.decision_id))
    [label] = await world.published("review.labelled")
    assert label["audited"] is None, "an appeal is no sample of what the model decides"


async def test_an_audit_and_an_appeal_of_one_decision_lead_to_different_decisions(world: World) -> None:
    before = prior("a", "approve")
    await world.request(requested("a", why=Why.AUDIT, prior=before))
    await world.request(requested("a", why=Why.APPEAL, prior=before), requested("a", why=Why.AUDIT, prior=before))
    for task in await world.claim(5):
        await world.reject(task, "spam")
    assert await world.publish() == 2
    decisions = await world.published("moderation.decided")
    assert sorted(decision["sequence"] for decision in decisions) == [before.sequence + 1, before.sequence + 2]


async def test_a_gold_item_decides_nothing(world: World) -> None:
    await world.request(requested("a", why=Why.GOLD), requested("a"))
    for task in await world.claim(2):
        await world.reject(task, "spam")
    assert await world.publish() == 2
    assert len(await world.published("moderation.decided")) == 1
    assert len(await world.published("review.labelled")) == 2
