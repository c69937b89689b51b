"""A crash at any instruction leaves nothing half done, and reading again gives the same result."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from secondlook.common.contract.events import Event
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.router.handler import ContentHandler, RoutedBatch, WrittenBatch
from tests.integration.router_world import AHEAD, FakeModel, World, content, make_world, withdrawal
from tests.waiting import until

OUTPUT = ("moderation.decided", "review.requested", "content.submitted.dead-letter")
TABLES = ("SELECT * FROM content", "SELECT * FROM revision", "SELECT * FROM dead_letter")
TIMES = {"routed_at", "failed_at", "decided_at", "requested_at", "cancelled_at"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        yield world


class Crashing(ContentHandler):
    """Does all its work, then fails with what `error` gives for the number of the call, if anything."""

    def __init__(self, world: World, error: Callable[[int], BaseException | None]) -> None:
        super().__init__(world.state, world.metrics, world.clock, AHEAD, world.secret, world.signals)
        self.error, self.calls = error, 0

    async def apply(self, work: UnitOfWork, plan: RoutedBatch) -> WrittenBatch:
        done = await super().apply(work, plan)
        self.calls += 1
        if error := self.error(self.calls):
            raise error
        return done


def traffic(size: int = 200) -> list[Event]:
    """Repeats, reused revisions, overtaken revisions and withdrawals of a few pieces of content."""
    chance = random.Random(size)
    events: list[Event] = []
    for _ in range(size):
        name = f"c{chance.randrange(40)}"
        text = chance.choice(["fine", "sure", "unsure", "nan"])
        gone = chance.random() < 0.1
        events.append(withdrawal(name) if gone else content(name, chance.randint(1, 4), text=text))
    return events


async def left_behind(world: World) -> Any:
    """All that is stored and published, without times; what is published by key, as no order holds between keys."""
    stored = [
        sorted(str({k: v for k, v in row.items() if k not in TIMES}) for row in await world.database.pool.fetch(query))
        for query in TABLES
    ]
    published: dict[tuple[str, str], list[Any]] = {}
    for topic in OUTPUT:
        for record in await world.records(topic):
            body = {name: value for name, value in json.loads(record.value).items() if name not in TIMES}
            published.setdefault((topic, record.key), []).append(body)
    return stored, published


async def wipe(world: World) -> None:
    """Undo everything a router did: the next one reads from the start."""
    await world.database.pool.execute("TRUNCATE consumer_position, content, revision, dead_letter")
    await world.database.pool.execute("DELETE FROM bus.record WHERE topic = ANY($1)", OUTPUT)


async def test_a_failure_after_the_writes_leaves_nothing_and_is_tried_again(world: World) -> None:
    await world.route(*traffic())
    expected = await left_behind(world)
    await wipe(world)
    seen: list[Any] = []

    class Watching(Crashing):
        async def prepare(self, items: Sequence[Item]) -> RoutedBatch:
            seen.append(await left_behind(world))
            return await super().prepare(items)

    handler = Watching(world, lambda call: ConnectionError("gone") if call <= 2 else None)
    async with world.running(handler) as tasks:
        await world.idle(*tasks)
    assert seen[:3] == [([[], [], []], {})] * 3
    assert len(world.observed.reasons) == 2
    assert await left_behind(world) == expected


async def test_a_batch_that_fails_once_for_another_reason_takes_effect_record_by_record(world: World) -> None:
    await world.route(*traffic())
    expected = await left_behind(world)
    await wipe(world)
    handler = Crashing(world, lambda call: RuntimeError("a fault") if call == 2 else None)
    async with world.running(handler) as tasks:
        await world.idle(*tasks)
    assert handler.calls > 50
    assert await left_behind(world) == expected


class Stopping(ContentHandler):
    """Has its own task cancelled, now and then: the stop arrives at whatever is awaited next, the COMMIT included."""

    def __init__(self, world: World, chance: random.Random) -> None:
        super().__init__(world.state, world.metrics, world.clock, AHEAD, world.secret, world.signals)
        self.chance = chance

    def maybe_stop(self) -> None:
        if self.chance.random() < 0.15 and (task := asyncio.current_task()):
            task.cancel()

    async def prepare(self, items: Sequence[Item]) -> RoutedBatch:
        self.maybe_stop()
        return await super().prepare(items)

    async def apply(self, work: UnitOfWork, plan: RoutedBatch) -> WrittenBatch:
        self.maybe_stop()
        done = await super().apply(work, plan)
        self.maybe_stop()
        return done

    def committed(self, done: WrittenBatch) -> None:
        super().committed(done)
        self.maybe_stop()


async def test_a_router_that_is_stopped_anywhere_and_started_again_ends_the_same(world: World) -> None:
    await world.route(*traffic())
    expected = await left_behind(world)
    await wipe(world)
    chance = random.Random(5)
    stopped = 0
    while True:
        async with world.running(Stopping(world, chance), batch=9) as tasks:
            try:
                await world.idle(*tasks)
                break
            except asyncio.CancelledError:
                stopped += 1  # `idle` met the task's end
    assert stopped >= 5
    assert await left_behind(world) == expected


async def test_connections_that_die_anywhere_change_nothing(world: World) -> None:
    await world.route(*traffic())
    expected = await left_behind(world)
    await wipe(world)

    async def cut() -> None:
        admin = await world.database.connect()
        try:
            for _ in range(8):
                await asyncio.sleep(0.1)
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        finally:
            await admin.close()

    class Slow(ContentHandler):
        """Its transactions are open most of the time, so that cuts meet them."""

        async def apply(self, work: UnitOfWork, plan: RoutedBatch) -> WrittenBatch:
            done = await super().apply(work, plan)
            await asyncio.sleep(0.03)
            return done

    async with world.running(
        Slow(world.state, world.metrics, world.clock, AHEAD, world.secret, world.signals), batch=5
    ) as tasks:
        cutting = asyncio.create_task(cut())
        await cutting
        await world.database.pool.expire_connections()  # this test asks over them, too
        await until(lambda: bool(world.observed.reasons))
        await world.idle(*tasks)
        assert not tasks[0].done()
    assert world.observed.reasons
    assert await left_behind(world) == expected


async def test_a_commit_whose_answer_is_lost_is_not_repeated(world: World) -> None:
    """The transaction commits, then the process dies before its consumer hears of it."""
    await world.send(*traffic())

    class Dying(ContentHandler):
        def committed(self, done: WrittenBatch) -> None:
            raise asyncio.CancelledError

    dying = Dying(world.state, world.metrics, world.clock, AHEAD, world.secret, world.signals)
    task = asyncio.create_task(world.stream(dying).run())
    with pytest.raises(asyncio.CancelledError):
        await task
    once = await left_behind(world)
    assert once != ([[], [], []], {})
    await world.route()
    expected = await left_behind(world)
    await wipe(world)
    await world.route()
    assert await left_behind(world) == expected
