"""Items that nobody is left for, and edits of what was escalated: both are for leads."""

from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from typing import Any

import pytest

from secondlook.common.contract.events import Event, SecondLookRequested, Why
from secondlook.common.service.permissions import Role
from tests.integration.review_world import GRACE, START, World, cancelled, prior, requested

DAY = 24 * 3600.0
STATE = "SELECT queue, escalated, escalation_note FROM task JOIN task_payload USING (task_id) WHERE revision = $1"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Two reviewers and a lead."""
    async with World.open(database_url) as world:
        for name in ("ann", "ben"):
            await world.key("reviewer", name)
        await world.key("lead")
        yield world


async def skip(world: World, name: str, role: Role = "reviewer", queue: str | None = None) -> Any:
    [task] = await world.claim(name=name, role=role, queue=queue)
    return (await world.act(task, "skip", name=name, role=role)).json()


async def state(world: World, revision: int = 1) -> tuple[Any, ...]:
    """Queue, whether it is escalated, and the note."""
    [row] = await world.database.pool.fetch(STATE, revision)
    return tuple(row)


async def revoke(world: World, name: str) -> None:
    subject = (await world.caller("reviewer", name)).subject
    keys = {row["subject"]: row["key_id"] for row in await world.api.keys.list()}
    await world.api.keys.revoke(keys[subject])


async def test_what_everybody_skipped_goes_to_the_leads(world: World) -> None:
    await world.request(requested("a"))
    assert (await skip(world, "ann"))["queue"] == "default"
    assert (await skip(world, "ben"))["queue"] == "leads"
    [task] = await world.claim(role="lead", queue="leads")
    assert "nobody else is left" in task["escalation_note"]
    await world.reject(task, "csam", role="lead")
    assert await world.publish() == 1


async def test_an_item_goes_to_the_leads_when_the_last_who_might_take_it_leaves(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    await skip(world, "ann")
    await revoke(world, "ben")
    assert await world.api.escalations.sweep() == 1
    assert [task["queue"] for task in await world.claim(5, name="ann")] == ["default"], "b, which nobody skipped, stays"
    assert len(await world.claim(5, role="lead", queue="leads")) == 1


async def test_who_has_been_away_for_a_week_is_not_waited_for(world: World) -> None:
    await world.request(requested("a"))
    world.clock.turn(4 * DAY)
    await skip(world, "ann")
    assert await world.api.escalations.sweep() == 0, "ben has had a key for four days and may come"
    world.clock.turn(4 * DAY)
    assert await world.api.escalations.sweep() == 0, "nobody is there, not even a lead"
    assert len(await world.claim(5, role="lead", queue="leads")) == 1


async def test_a_second_opinion_that_nobody_can_give_is_a_leads(world: World) -> None:
    await world.request(requested("a"))
    await skip(world, "ben")
    [task] = await world.claim(name="ann")
    await world.reject(task, "csam", name="ann")
    assert await world.api.escalations.sweep() == 0, "it can still be undone"
    world.clock.turn(GRACE)
    assert await world.api.escalations.sweep() == 1
    [task] = await world.claim(role="lead", queue="leads")
    await world.reject(task, "csam", role="lead")
    assert await world.publish() == 1


async def test_a_lead_who_comes_finds_what_nobody_is_left_for(world: World) -> None:
    """Without waiting for the next sweep."""
    await world.request(requested("a"))
    await skip(world, "ann")
    await revoke(world, "ben")
    assert len(await world.claim(role="lead", queue="leads")) == 1


async def test_without_a_lead_an_item_waits_for_a_new_reviewer_and_can_be_seen(database_url: str) -> None:
    async with World.open(database_url) as world:
        await world.request(requested("a"))
        assert (await skip(world, "ann"))["queue"] == "default"
        assert await world.api.escalations.sweep() == 0
        metrics = (await world.client.get("http://reviewer/metrics")).text
        assert 'secondlook_review_without_candidates{queue="default"} 1.0' in metrics
        assert len(await world.claim(name="ben")) == 1


async def test_what_all_leads_skipped_comes_back_to_them_after_a_while(world: World) -> None:
    await world.key("lead", "lea")
    await world.request(requested("a"), requested("b"))
    for task in await world.claim(2, name="ann"):
        await world.act(task, "escalate", name="ann")
    [a, _] = await world.claim(2, name="lea", role="lead", queue="leads")
    await world.act(a, "skip", name="lea", role="lead")
    await world.act(_, "release", name="lea", role="lead")
    world.clock.turn(DAY)
    assert [task["task_id"] for task in await world.claim(5, name="lea", role="lead")] == [_["task_id"]]
    await skip(world, "lead", "lead")
    assert await world.claim(role="lead") == [], "not at once, though nobody else is left"
    await world.api.escalations.sweep()
    metrics = (await world.client.get("http://reviewer/metrics")).text
    assert 'secondlook_review_without_candidates{queue="leads"} 1.0' in metrics
    [again] = await world.claim(name="lea", role="lead")
    assert again["task_id"] == a["task_id"], "who skipped it long ago gets it now"


async def test_the_only_lead_settles_a_disagreement_that_they_took_part_in(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(role="lead")
    await world.reject(task, "csam", role="lead")
    world.clock.turn(GRACE)
    [task] = await world.claim(name="ann")
    assert (await world.approve(task, name="ann"))["state"] == "escalated"
    world.clock.turn(DAY)
    [task] = await world.claim(role="lead", queue="leads")
    assert (await world.approve(task, role="lead"))["state"] == "decided"
    await world.publish()
    labels = await world.published("review.labelled")
    lead = (await world.caller("lead")).subject
    assert [label["reviewer"] for label in labels if label["adjudicated"]] == [lead]
    assert len({label["label_id"] for label in labels}) == len(labels) == 2, "the lead has one say, the last"


async def escalate(world: World, revision: int = 1, note: str | None = "is this satire?") -> None:
    [task] = await world.claim(name="ann")
    assert task["content"]["revision"] == revision
    await world.act(task, "escalate", name="ann", note=note)


async def test_an_edit_of_an_escalated_item_stays_with_the_leads(world: World) -> None:
    await world.request(requested("a"))
    await escalate(world)
    for revision in (2, 3):
        await world.request(requested("a", revision))
        assert await state(world, revision) == ("leads", True, "is this satire?")
    assert await world.claim(name="ben") == []
    [task] = await world.claim(role="lead", queue="leads")
    assert (task["content"]["revision"], task["escalation_note"]) == (3, "is this satire?")


@pytest.mark.parametrize("together", [True, False])
async def test_the_order_of_events_makes_no_difference(world: World, together: bool) -> None:
    orders = {f"content-{number}": order for number, order in enumerate(permutations(range(4)))}
    await world.request(*map(requested, orders))
    for task in await world.claim(len(orders), name="ann"):
        await world.act(task, "escalate", name="ann", note=task["content"]["content_id"])
    for name, order in orders.items():
        edits: Sequence[Event] = (
            requested(name, 2), requested(name, 3), cancelled(name, 1), cancelled(name, 2, "superseded"),
        )  # fmt: skip
        events = [edits[place] for place in order]
        for batch in [events] if together else [[event] for event in events]:
            await world.request(*batch)
    for task in await world.claim(len(orders), role="lead", queue="leads"):
        content = task["content"]
        assert content["revision"] == 3
        assert task["escalation_note"] == content["content_id"]
        del orders[content["content_id"]]
    assert not orders


async def test_an_edit_while_a_lead_holds_or_has_judged_the_item_stays_with_the_leads(world: World) -> None:
    await world.request(requested("a"))
    await escalate(world)
    [task] = await world.claim(role="lead")
    await world.request(requested("a", 2))
    assert (await state(world, 2))[:2] == ("leads", True)
    [task] = await world.claim(role="lead")
    await world.approve(task, role="lead")
    await world.request(requested("a", 3))  # before the verdict was published
    assert (await state(world, 3))[:2] == ("leads", True)


async def test_what_a_lead_settled_is_settled(world: World) -> None:
    await world.request(requested("a"))
    await escalate(world)
    await world.request(requested("a", 2))
    [task] = await world.claim(role="lead")
    await world.approve(task, role="lead")
    await world.publish()
    await world.request(requested("a", 3))
    assert await state(world, 3) == ("default", False, None)


async def test_a_disagreement_and_what_nobody_is_left_for_survive_edits_too(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    held = {task["content"]["content_id"]: task for task in await world.claim(2, name="ann")}
    await world.reject(held["a"], "csam", name="ann")
    await world.act(held["b"], "skip", name="ann")
    world.clock.turn(GRACE)
    for task in await world.claim(2, name="ben"):
        if task["content"]["content_id"] == "a":
            await world.approve(task, name="ben")
        else:
            await world.act(task, "skip", name="ben")
    await world.request(requested("a", 2), requested("b", 2))
    assert await world.claim(5, name="ann") == []
    notes = {task["content"]["content_id"]: task["escalation_note"] for task in await world.claim(5, role="lead")}
    assert notes["a"] is None
    assert "nobody else is left" in notes["b"]


async def test_an_audit_of_an_edit_and_an_escalated_second_look_are_no_exceptions(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await world.approve(task, name="ann")
    await world.publish()
    look = SecondLookRequested(source="forum", content_id="a", revision=1, reason="", requested_at=START)
    await world.request(look)
    [task] = await world.claim(name="ben")
    await world.act(task, "escalate", name="ben", note="doubtful")
    again = requested("a", 2, why=Why.AUDIT, prior=prior("a", "approve"))
    await world.request(again)
    assert await state(world, 2) == ("leads", True, "doubtful")


async def test_an_edit_is_for_every_reviewer_again(world: World) -> None:
    """An author must not shake off who skipped or judged, and it is another text."""
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await world.reject(task, "csam", name="ann")
    await world.request(requested("a", 2))
    assert len(await world.claim(name="ann")) == 1


async def test_escalating_again_without_a_note_keeps_the_note(world: World) -> None:
    await world.request(requested("a"))
    await escalate(world)
    [task] = await world.claim(role="lead")
    await world.act(task, "escalate", role="lead")
    assert (await state(world))[2] == "is this satire?"
