"""A reversal and a request for the same content at the same moment: neither is lost, and no sequence is used twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from secondlook.common.contract.events import Event, SecondLookRequested, Why
from tests.integration.review_world import START, World, cancelled, code_of, prior, requested
from tests.integration.test_reversals import approved, decided, reverse
from tests.waiting import until

# On this database alone: other tests have their own.
WAITING = """
SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.datname = current_database()
"""


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def until_waiting(world: World, people: int) -> None:
    """Wait until so many wait for a lock."""

    async def waiting() -> bool:
        found: int = await world.database.pool.fetchval(WAITING)
        return found >= people

    await until(waiting)


async def reversed_while(world: World, made: Any, event: Event) -> Any:
    """A reversal that is about to commit when the event is handled. The answer to the reversal."""
    async with world.database.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE bus.record IN EXCLUSIVE MODE")  # what the reversal writes last
            answer = asyncio.create_task(reverse(world, made.decision_id))
            await until_waiting(world, 1)
            request = asyncio.create_task(world.request(event))
            done, _ = await asyncio.wait([request], timeout=0.5)
            if not done:
                await until_waiting(world, 2)
        await request
        return await answer


def second_look(content_id: str) -> SecondLookRequested:
    return SecondLookRequested(
        source="forum", content_id=content_id, revision=1, reason="the answer looks wrong", requested_at=START
    )


@pytest.mark.parametrize("what", ["second look", "appeal"])
async def test_a_request_that_meets_a_reversal_is_not_lost_and_looks_at_what_it_left(world: World, what: str) -> None:
    before = await approved(world)
    event: Event = second_look("a")
    if what == "appeal":
        event = requested("a", why=Why.APPEAL, prior=prior("a", "approve"))
    answer = await reversed_while(world, before, event)
    assert answer.status_code == 200, answer.text
    rows = await world.database.pool.fetch("""
        SELECT why, state, sequence, prior ->> 'decision_id' AS prior FROM task JOIN task_payload USING (task_id)
        ORDER BY sequence""")
    assert [row["state"] for row in rows] == ["published", "published", "pending"]
    assert len({row["sequence"] for row in rows}) == 3
    if what == "second look":
        assert rows[-1]["prior"] == answer.json()["decision_id"], "it looks at the decision in force"
    [task] = await world.claim(name="second")
    await world.reject(task, "hate", name="second")
    await world.publish()
    made = await decided(world)
    assert len({decision.sequence for decision in made}) == len(made) == 3
    assert max(made, key=lambda decision: decision.sequence).labels == ("hate",)


@pytest.mark.parametrize("event", [requested("a", 2), cancelled("a", 1)], ids=["newer revision", "withdrawal"])
async def test_what_ends_the_revision_ends_it_although_a_reversal_is_under_way(world: World, event: Event) -> None:
    before = await approved(world)
    answer = await reversed_while(world, before, event)
    assert answer.status_code == 200, answer.text
    why = "superseded" if event == requested("a", 2) else "withdrawn"
    later = (await decided(world))[-1]
    if why == "superseded":
        [task] = await world.claim(name="second")
        await world.approve(task, name="second")
        await world.publish()
        newest = max(await decided(world), key=lambda decision: decision.sequence)
        assert (newest.revision, newest.outcome) == (2, "approve"), "the newer revision has the last word"
    assert len({decision.sequence for decision in await decided(world)}) == len(await decided(world))
    assert str(later.decision_id) == answer.json()["decision_id"]


async def test_a_reversal_that_meets_a_second_look_finds_it_there(world: World) -> None:
    before = await approved(world)
    await world.request(second_look("a"))
    assert code_of(await reverse(world, before.decision_id)) == "409 in_review"
    assert len(await decided(world)) == 1
