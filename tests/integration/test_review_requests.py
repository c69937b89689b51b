"""What arrives on review.requested: repeats, newer revisions, cancellations, bad records, and how fast."""

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from secondlook.common.contract.events import ContentSubmitted, ReviewRequested, Why
from secondlook.common.errors import RevisionReused
from tests.integration.review_world import World, cancelled, code_of, prior, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def test_a_repeated_request_changes_nothing(world: World) -> None:
    await world.request(requested("a"), requested("a"))
    [task] = await world.claim()
    await world.request(requested("a"), requested("b"))
    assert await world.states() == {"a/1": "leased", "b/1": "pending"}
    await world.approve(task)


async def test_a_newer_revision_supersedes_pending_leased_and_decided_ones(world: World) -> None:
    await world.request(*[requested(name) for name in ("pending", "leased", "decided", "published")])
    tasks = {task["content"]["content_id"]: task for task in await world.claim(4)}
    await world.act(tasks["pending"], "release")
    await world.approve(tasks["published"])
    await world.publish()
    said = await world.reject(tasks["decided"], "spam")
    await world.request(*[requested(name, 2) for name in tasks])

    assert await world.states() == {
        **{f"{name}/1": "superseded" for name in ("pending", "leased", "decided")},
        "published/1": "published",
        **{f"{name}/2": "pending" for name in tasks},
    }
    for what in ("heartbeat", "release", "skip", "escalate"):
        assert code_of(await world.act(tasks["leased"], what)) == "409 superseded"
    assert (await world.approve(tasks["leased"], status=409))["code"] == "superseded"
    assert (await world.reject(tasks["decided"], "spam", status=409))["code"] == "superseded"
    assert code_of(await world.call("POST", f"/decisions/{said['decision_id']}/undo")) == "409 superseded"
    assert await world.publish() == 0
    assert len(await world.published("moderation.decided")) == 1


async def test_withdrawn_content_needs_no_decision(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    tasks = {task["content"]["content_id"]: task for task in await world.claim(2)}
    await world.approve(tasks["a"])
    await world.request(cancelled("a", 1), cancelled("b", 1))
    assert await world.states() == {"a/1": "withdrawn", "b/1": "withdrawn"}
    assert (await world.approve(tasks["b"], status=409))["code"] == "withdrawn"
    await world.publish()
    assert await world.published("moderation.decided") == []
    await world.request(requested("a", 2))
    assert len(await world.claim()) == 1


async def test_requests_that_turn_up_late_are_closed_at_once(world: World) -> None:
    await world.request(requested("a", 3), requested("a", 2))
    await world.request(cancelled("b", 2, "withdrawn"))
    await world.request(requested("a", 1), requested("b", 1), requested("b", 3))
    assert await world.states() == {
        "a/1": "superseded", "a/2": "superseded", "a/3": "pending", "b/1": "withdrawn", "b/3": "pending",
    }  # fmt: skip


async def test_one_batch_ends_as_many_batches_do(world: World) -> None:
    events = [requested("a", 1), cancelled("a", 1), requested("a", 2), requested("a", 4), cancelled("a", 5)]
    await world.request(*events)
    together = await world.states()
    assert together == {"a/1": "withdrawn", "a/2": "superseded", "a/4": "withdrawn"}
    await world.database.pool.execute("TRUNCATE task, task_payload, judgement, closure")
    for event in events:
        await world.request(event)
    assert await world.states() == together


async def test_a_request_with_other_content_is_set_aside(world: World) -> None:
    bad = requested("a").model_copy(update={"content": requested("b").content})
    await world.request(bad, requested("c"))
    assert await world.states() == {"c/1": "pending"}
    [row] = await world.database.pool.fetch("SELECT reason, detail FROM dead_letter")
    assert (row["reason"], row["detail"]) == ("wrong_content", "content: is not the revision that the request names")


async def test_the_intake_takes_more_than_a_thousand_requests_a_second(world: World) -> None:
    many = [
        requested(f"item-{number}", 1 + number % 3, why=Why.AUDIT, prior=prior(f"item-{number}", "approve"))
        if number % 10 == 0
        else requested(f"item-{number}", 1 + number % 3)
        for number in range(4096)
    ]
    # Through JSON, as the stream does; the embedding of a small encoder weighs about 1 kB.
    bodies = [event.model_copy(update={"embedding": "x" * 1024}).model_dump_json() for event in many]
    start = time.perf_counter()
    for at in range(0, len(bodies), 256):
        await world.request(*[ReviewRequested.model_validate_json(body) for body in bodies[at : at + 256]])
    rate = len(bodies) / (time.perf_counter() - start)
    assert await world.database.pool.fetchval("SELECT count(*) FROM task WHERE state = 'pending'") == len(many)
    print(f"{rate:.0f} requests/s")  # noqa: T201
    assert rate > 1000


async def test_a_foreign_review_of_the_same_decision_is_not_a_second_task(world: World) -> None:
    await world.request(requested("a"), requested("a").model_copy(update={"review_id": uuid4()}))
    assert len(await world.claim(5)) == 1


@pytest.mark.parametrize("priorities", [(5, 90, 30), (90, 30, 5)])
async def test_a_request_that_comes_again_keeps_the_highest_priority(world: World, priorities: tuple[int, ...]) -> None:
    for priority in priorities:
        await world.request(requested("a", priority=priority))
    await world.request(requested("b", priority=60), requested("a", priority=1))
    assert await world.database.pool.fetchval("SELECT priority FROM task WHERE content_id = 'a'") == 90
    assert [task["content"]["content_id"] for task in await world.claim(2)] == ["a", "b"]


async def test_a_judged_item_is_not_raised(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    await world.approve(task)
    await world.request(requested("a", priority=90))
    rows = await world.database.pool.fetch("SELECT priority, state FROM task")
    assert [tuple(row) for row in rows] == [(0, "decided")]


async def test_requests_and_closures_in_any_order_leave_the_same_tasks_open(world: World) -> None:
    """Also a revision that came after a withdrawal of the ones before it."""
    for number, order in enumerate(itertools.permutations(range(5))):
        said = [
            requested(f"a{number}", 1), requested(f"a{number}", 3), cancelled(f"a{number}", 3),
            requested(f"a{number}", 4), cancelled(f"a{number}", 2, "superseded"),
        ]  # fmt: skip
        for place in order:
            await world.request(said[place])
    rows = await world.database.pool.fetch("SELECT content_id, revision FROM task WHERE state = 'pending'")
    assert sorted((row["content_id"], row["revision"]) for row in rows) == sorted((f"a{n}", 4) for n in range(120))


async def test_a_revision_that_comes_again_with_another_text_reaches_nobody(world: World) -> None:
    first, audit = requested("a"), requested("a", why=Why.AUDIT, prior=prior("a", "approve"))
    other = {"content": first.content.model_copy(update={"text": "another text"})}
    await world.request(first)
    for reused in (first.model_copy(update=other), audit.model_copy(update=other)):
        with pytest.raises(RevisionReused, match="forum/a, revision 1"):
            await world.request(requested("b"), reused)
    assert await world.states() == {"a/1": "pending"}, "nothing of such a batch is written; the stream takes it apart"
    again = requested("c")
    text = again.content.model_copy(update={"text": "x"})
    with pytest.raises(RevisionReused):
        await world.request(requested("c"), again.model_copy(update={"content": text}))
    await world.request(first, audit, requested("b"))
    assert sorted(task["content"]["text"] for task in await world.claim(5)) == ["text of a", "text of a", "text of b"]


@pytest.mark.parametrize(
    "change", [{"kind": "title"}, {"author_id": "b"}, {"context": {"parent_text": "another one"}}], ids=str
)
async def test_a_revision_that_comes_again_with_what_changes_its_meaning_reaches_nobody(
    world: World, change: dict[str, Any]
) -> None:
    first = requested("a")
    other = ContentSubmitted.model_validate({**first.content.model_dump(), **change})
    await world.request(first)
    for why in (Why.UNCERTAIN, Why.AUDIT):
        again = requested("a", why=why, prior=prior("a", "approve"), priority=90)
        with pytest.raises(RevisionReused, match=next(iter(change))):
            await world.request(again.model_copy(update={"content": other}))
    counted = first.content.model_copy(update={"reports": 9})
    await world.request(first.model_copy(update={"content": counted, "priority": 90}))
    assert await world.database.pool.fetchval("SELECT priority FROM task") == 90, "counts may rise"


@pytest.mark.parametrize("together", [True, False])
async def test_a_request_with_the_id_of_another_one_is_refused(world: World, together: bool) -> None:
    first = requested("a")
    for stolen in (requested("b", priority=90), requested("a", 2, priority=90)):
        stolen = stolen.model_copy(update={"review_id": first.review_id})
        if not together:
            await world.request(first)
        with pytest.raises(RevisionReused, match="review_id"):
            await world.request(*([first] if together else []), stolen)
    await world.request(first, requested("b"))
    assert await world.states() == {"a/1": "pending", "b/1": "pending"}
    assert await world.database.pool.fetchval("SELECT max(priority) FROM task") == 0, "nobody moved it"
