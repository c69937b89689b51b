"""Routers that share the work: each revision is decided once, whoever comes, goes or hangs."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from secondlook.common.contract.events import ContentDecided
from secondlook.common.errors import Overtaken
from secondlook.common.service.stream import Item
from tests.integration.router_world import FakeModel, World, content, make_world, stop
from tests.waiting import until

SESSIONS = """
SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
END_SESSIONS = f"SELECT count(pg_terminate_backend(pid)) FROM ({SESSIONS} LIMIT $1) AS sessions"  # noqa: S608
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        yield world


async def keep_sending(world: World, rounds: int, pause: float = 0.05) -> set[tuple[str, int]]:
    """Continuous traffic, with repeats; returns the revisions sent."""
    chance, sent = random.Random(rounds), set[tuple[str, int]]()
    for number in range(rounds):
        names = [(f"c{number}-{part}", revision) for part in range(4) for revision in (1, 2)]
        await world.send(*(content(*name, text=chance.choice(["fine", "sure", "unsure"])) for name in names))
        again = content(*chance.choice(names))
        await world.send(again, again)
        sent |= {(f"forum/{name}", revision) for name, revision in names}
        await asyncio.sleep(pause)
    return sent


async def shared_by(world: World, count: int) -> None:
    """Wait until so many routers hold partitions."""

    async def holds() -> bool:
        return len(await world.database.pool.fetch(SESSIONS)) == count

    await until(holds)


async def some_decided(world: World, more_than: int) -> None:
    """Wait until more revisions than so many have an outcome."""

    async def holds() -> bool:
        return len(await world.outcomes()) > more_than

    await until(holds)


async def test_routers_whose_sessions_end_decide_each_revision_once(world: World) -> None:
    ended = 0
    async with world.running(None, None, batch=16) as tasks:
        sending = asyncio.create_task(keep_sending(world, 80))
        for count in (1, 2, 1):
            await shared_by(world, 2)
            await some_decided(world, len(await world.outcomes()))
            ended += await world.database.pool.fetchval(END_SESSIONS, count)
        sent = await sending
        await world.idle(*tasks)
    assert ended >= 3
    outcomes = await world.outcomes()
    assert set(outcomes) == sent
    assert set(outcomes.values()) == {1}


async def test_a_router_that_comes_and_one_that_goes_lose_nothing(world: World) -> None:
    async with world.running(batch=16) as first:
        sending = asyncio.create_task(keep_sending(world, 50))
        await some_decided(world, 0)
        async with world.running(batch=16) as second:
            await shared_by(world, 2)
            await some_decided(world, len(await world.outcomes()))
            await stop(*first)
            sent = await sending
            await world.idle(*second)
    outcomes = await world.outcomes()
    assert set(outcomes) == sent
    assert set(outcomes.values()) == {1}
    epochs = await world.database.pool.fetch("SELECT epoch FROM consumer_position")
    assert max(row["epoch"] for row in epochs) >= 2


async def test_decisions_of_one_piece_of_content_are_published_in_order(world: World) -> None:
    async with world.running(None, None, batch=8) as tasks:
        for revision in range(1, 41):
            await world.send(*(content(name, revision) for name in ("a", "b", "c")))
        await world.idle(*tasks)
    for name in ("a", "b", "c"):
        sequences = [event.sequence for event in await world.events(ContentDecided) if event.content_id == name]
        assert sequences == [revision * 1024 for revision in range(1, 41)]


async def test_a_lower_revision_from_another_partition_cannot_undo_a_higher_one(world: World) -> None:
    """As when a Kafka topic got more partitions while both routers were at work."""
    low, high = world.pipeline(), world.pipeline()
    plans = [
        (low, await low.prepare([Item(world.record_of(content("a", 1)), content("a", 1))])),
        (high, await high.prepare([Item(world.record_of(content("a", 2)), content("a", 2))])),
    ]

    higher_applied = asyncio.Event()

    async def is_blocked() -> bool:
        return bool(await world.database.pool.fetchval(BLOCKED))

    async def apply_higher() -> None:
        pipeline, plan = plans[1]
        async with world.transactions.begin() as work:
            await pipeline.apply(work, plan)
            higher_applied.set()
            await until(is_blocked)  # and only then commit

    async def apply_lower() -> None:
        pipeline, plan = plans[0]
        await higher_applied.wait()
        with pytest.raises(Overtaken):  # the first of this content is somebody else's; the stream tries again
            async with world.transactions.begin() as work:
                await pipeline.apply(work, plan)
        async with world.transactions.begin() as work:
            await pipeline.apply(work, plan)

    await asyncio.gather(apply_higher(), apply_lower())
    assert await world.database.pool.fetchval("SELECT latest_revision FROM content") == 2
    assert await world.outcomes() == {("forum/a", 2): 1}
    assert await world.database.pool.fetchval("SELECT route FROM revision WHERE revision = 1") == "superseded"
