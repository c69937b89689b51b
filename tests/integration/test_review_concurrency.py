"""Many at once: claims, publishers, one verdict against another, and faults in the middle."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.bus import Message
from secondlook.common.errors import SecondLookError
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies.repository import PolicyRepository
from secondlook.reviewer_api.review.publisher import Publisher
from tests.integration.review_world import GRACE, World, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def test_thirty_two_reviewers_get_every_item_once(world: World) -> None:
    await world.request(*[requested(f"item-{n}", priority=n % 3) for n in range(400)])
    names = [f"reviewer-{n}" for n in range(32)]
    for name in names:
        await world.key("reviewer", name)

    async def work(name: str, number: int) -> list[str]:
        mine: list[str] = []
        while tasks := await world.claim(1 + number % 7, name=name):
            mine += [task["task_id"] for task in tasks]
            for task in tasks:
                await world.approve(task, name=name)
        return mine

    given = await asyncio.gather(*[work(name, number) for number, name in enumerate(names)])
    counts = Counter(task for tasks in given for task in tasks)
    assert len(counts) == 400
    assert set(counts.values()) == {1}
    await asyncio.gather(world.publish(), world.api.publisher.publish_due(), world.api.publisher.publish_due())
    decisions = await world.published("moderation.decided")
    assert len({decision["decision_id"] for decision in decisions}) == len(decisions) == 400


async def test_of_many_things_done_at_once_with_a_lease_one_is_done(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    answers = await asyncio.gather(
        world.act(task, "decision", outcome="approve", labels=[]),
        world.act(task, "decision", outcome="reject", labels=["spam"]),
        world.act(task, "skip"),
        world.act(task, "release"),
        world.act(task, "escalate"),
        world.request(requested("a", 2)),
    )
    codes = [answer.status_code for answer in answers if answer is not None]
    assert codes.count(200) <= 1
    assert set(codes) <= {200, 409}
    assert (await world.states())["a/1"] == "superseded"


async def test_undo_and_publish_never_both_win(world: World) -> None:
    await world.request(*[requested(f"item-{n}") for n in range(20)])
    said = [(await world.approve(task))["decision_id"] for task in await world.claim(20)]
    early, racing, late = said[:5], said[5:15], said[15:]
    some_undone = asyncio.Event()

    async def undo(decision_id: str) -> int:
        answer = await world.call("POST", f"/decisions/{decision_id}/undo")
        some_undone.set()
        return answer.status_code

    async def publish() -> int:
        await some_undone.wait()
        return await world.publish()

    assert [await undo(decision_id) for decision_id in early] == [200] * 5
    some_undone.clear()
    count, *codes = await asyncio.gather(publish(), *map(undo, racing))
    count += await world.publish()  # the publisher passes over rows that an undo holds
    assert [await undo(decision_id) for decision_id in late] == [409] * 5
    assert set(codes) <= {200, 409}  # however the race went
    assert count == codes.count(409) + 5
    decisions = await world.published("moderation.decided")
    assert len(decisions) == count


class TornBus:
    """Appends the events and then fails, as a connection may at any moment before commit."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus

    async def publish(self, connection: Any, messages: list[Message]) -> None:
        await self._bus.publish(connection, messages)
        raise SecondLookError("torn")


async def test_a_publisher_that_fails_publishes_nothing_and_its_successor_everything(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    for task in await world.claim(2):
        await world.reject(task, "spam")
    world.clock.turn(GRACE)
    made = world.transactions
    torn = Transactions(made.database, TornBus(made.bus), made.clock, made.source)  # type: ignore[arg-type]
    with pytest.raises(SecondLookError, match="torn"):
        await Publisher(torn, PolicyRepository(), ReviewerMetrics(CollectorRegistry())).publish_due()
    assert set((await world.states()).values()) == {"decided"}
    assert await world.published("moderation.decided") == []
    assert await world.api.publisher.publish_due() == 2
    assert len(await world.published("moderation.decided")) == 2
    assert len(await world.published("review.labelled")) == 2


async def test_a_publisher_takes_more_than_one_batch(world: World) -> None:
    await world.request(*[requested(f"item-{n}") for n in range(25)])
    for task in await world.claim(25):
        await world.approve(task)
    world.clock.turn(GRACE)
    publisher = Publisher(world.transactions, PolicyRepository(), ReviewerMetrics(CollectorRegistry()), limit=10)
    assert await publisher.publish_due() == 25
