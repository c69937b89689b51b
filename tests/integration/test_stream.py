"""The loop of every service: what can pass is waited for, a bad record is set aside, and a fault of ours stops it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.bus import Batch, Consumer, Record, Span, positions
from secondlook.common.bus.postgres_consumer import PostgresConsumer
from secondlook.common.bus.wire import encode
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import Fenced, Stalled, TooManyFailures
from secondlook.common.service.stream import MAX_FAILURES_IN_A_ROW, Item, Stream, join, split
from secondlook.common.service.unit_of_work import UnitOfWork
from tests.integration.router_world import GROUP, World, content, make_world, stop
from tests.waiting import until

TOPIC = ContentSubmitted.topic
NOW = datetime(2025, 6, 1, tzinfo=UTC)
Fault = Callable[[Sequence[Item]], BaseException | None]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url, partitions=1) as world:
        await world.database.pool.execute("CREATE TABLE effect (place bigserial, content_id text)")
        yield world


async def effects(world: World) -> list[str]:
    return [row["content_id"] for row in await world.database.pool.fetch("SELECT * FROM effect ORDER BY place")]


class Writes:
    """Writes down the ids it is given; fails after that with what `fault` says of them."""

    def __init__(self, fault: Fault = lambda items: None) -> None:
        self.fault, self.prepared, self.committed_plans = fault, 0, list[Sequence[Item]]()

    async def prepare(self, items: Sequence[Item]) -> Sequence[Item]:
        self.prepared += 1
        return items

    async def apply(self, work: UnitOfWork, plan: Sequence[Item]) -> Sequence[Item]:
        for item in plan:
            assert isinstance(item.event, ContentSubmitted)
            await work.connection.execute("INSERT INTO effect (content_id) VALUES ($1)", item.event.content_id)
        if error := self.fault(plan):
            raise error
        return plan

    def committed(self, done: Sequence[Item]) -> None:
        self.committed_plans.append(done)


def names(items: Sequence[Item]) -> list[str]:
    return [item.event.content_id for item in items if isinstance(item.event, ContentSubmitted)]


def poison(*ids: str) -> Fault:
    return lambda items: RuntimeError("cannot") if set(ids) & set(names(items)) else None


async def run(world: World, handler: Writes, size: int = 100) -> None:
    async with world.running(handler, batch=size) as tasks:
        await world.idle(*tasks)


async def send(world: World, *ids: str) -> None:
    await world.send(*(content(content_id) for content_id in ids))


class Prefetching(Consumer):
    """A transport that, like Kafka's, is past a batch once it has handed it out, unless `retry` takes it back."""

    def __init__(self, world: World, records: Sequence[Record], epoch: int) -> None:
        self.world, self.records, self.epoch, self.place = world, records, epoch, 0

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        batch = self.records[self.place : self.place + max_records]
        if not batch:
            await asyncio.sleep(wait)
            return None
        start = self.records[self.place - 1].offset + 1 if self.place else 0
        self.place += len(batch)
        return Batch(batch, [Span(TOPIC, 0, start, batch[-1].offset + 1, self.epoch, "test")])

    async def done(self, batch: Batch) -> None: ...

    async def retry(self, batch: Batch) -> None:
        self.place = min(self.place, self.records.index(batch.records[0]))

    async def fenced(self) -> None:
        raise AssertionError("nobody else reads this")

    async def lag(self) -> int:
        return len(self.records) - self.place

    async def close(self) -> None: ...


async def prefetching(world: World, handler: Writes, records: Sequence[Record]) -> asyncio.Task[None]:
    taken = await positions.take(world.database.pool, GROUP, "test", {(TOPIC, 0): 0})
    consumer = Prefetching(world, records, taken[TOPIC, 0][1])
    return asyncio.create_task(
        Stream(GROUP, consumer, world.transactions, handler, world.observed, max_records=6).run()
    )


def record(world: World, offset: int, content_id: str, **changed: str) -> Record:
    message = encode(content(content_id), "test", world.clock)
    return Record(TOPIC, 0, offset, changed.pop("key", message.key), message.value, {**message.headers, **changed}, NOW)


async def test_what_can_pass_is_waited_for_and_reported(world: World) -> None:
    errors: list[BaseException] = [ConnectionError("away"), TimeoutError("slow")]
    handler = Writes(lambda items: errors.pop() if errors else None)
    await send(world, "a", "b")
    await run(world, handler)
    assert await effects(world) == ["a", "b"]
    assert handler.prepared == 3
    assert len(handler.committed_plans) == 1
    assert world.observed.reasons == ["TimeoutError: slow", "ConnectionError: away"]
    assert (world.observed.records, world.observed.dead_letters) == (2, 0)


async def test_a_backend_that_is_terminated_in_the_middle_is_waited_for(world: World) -> None:
    class Terminated(Writes):
        async def apply(self, work: UnitOfWork, plan: Sequence[Item]) -> Sequence[Item]:
            done = await super().apply(work, plan)
            if self.prepared <= 3:
                await work.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return done

    await send(world, "a", "b")
    await run(world, Terminated())
    assert await effects(world) == ["a", "b"]
    assert len(world.observed.reasons) == 3
    assert await world.dead_letters() == []


async def test_a_record_that_cannot_be_handled_is_set_aside_and_its_neighbours_go_on(world: World) -> None:
    await send(world, *"abcdefg")
    await run(world, Writes(poison("c", "f")))
    assert await effects(world) == list("abdeg")
    assert await world.dead_letters() == [("failed", "RuntimeError('cannot')")] * 2
    assert (world.observed.records, world.observed.dead_letters) == (7, 2)


async def test_when_record_after_record_fails_the_loop_stops_and_loses_nothing(world: World) -> None:
    ids = [f"c{number}" for number in range(80)]
    await send(world, *ids)
    with pytest.raises(TooManyFailures, match="50 records in a row failed, last with RuntimeError"):
        await run(world, Writes(poison(*ids)))
    set_aside = MAX_FAILURES_IN_A_ROW - 1
    assert len(await world.dead_letters()) == set_aside
    await run(world, Writes())
    assert await effects(world) == ids[set_aside:]


@pytest.mark.parametrize("size", [1, 4])
async def test_failures_that_are_far_apart_do_not_add_up(world: World, size: int) -> None:
    ids = [f"c{number}" for number in range(4 * MAX_FAILURES_IN_A_ROW + 40)]
    bad = ids[::4]
    await send(world, *ids)
    await run(world, Writes(poison(*bad)), size)
    assert await effects(world) == [name for name in ids if name not in bad]
    assert len(await world.dead_letters()) == len(bad) > MAX_FAILURES_IN_A_ROW


async def test_an_interruption_while_going_record_by_record_skips_and_repeats_nothing(world: World) -> None:
    errors = [ConnectionError("away")]

    def fault(items: Sequence[Item]) -> BaseException | None:
        if "c" in names(items):
            return RuntimeError("cannot")
        return errors.pop() if names(items) == ["e"] and errors else None

    records = [record(world, number, name) for number, name in enumerate("abcdefghij")]
    handler = Writes(fault)
    task = await prefetching(world, handler, records)
    await until(lambda: task.done() or world.observed.records == 10)
    await stop(task)
    assert await effects(world) == list("abdefghij")
    assert not errors
    (dead,) = await world.database.pool.fetch("SELECT * FROM dead_letter")
    assert (dead["key"], dead["reason"]) == ("forum/c", "failed")


async def test_gaps_between_offsets_are_passed_over_record_by_record(world: World) -> None:
    records = [record(world, 3 * number + 2, name) for number, name in enumerate("abcde")]
    task = await prefetching(world, Writes(poison("b")), records)
    await until(lambda: task.done() or world.observed.records == 5)
    await stop(task)
    assert await effects(world) == list("acde")
    assert await world.database.pool.fetchval("SELECT next_offset FROM consumer_position") == 15


async def test_a_dead_letter_can_always_be_stored(world: World) -> None:
    odd = record(world, 0, "a", key="a\x00\ud800", header="\x00\ud800\U0001f600")
    task = await prefetching(world, Writes(), [odd, record(world, 1, "b")])
    await until(lambda: task.done() or world.observed.records == 2)
    await stop(task)
    assert await effects(world) == ["b"]
    (dead,) = await world.database.pool.fetch("SELECT * FROM dead_letter")
    assert (dead["key"], dead["value"], dead["reason"]) == ("a?", odd.value, "wrong_key")
    (forwarded,) = await world.records(f"{TOPIC}.dead-letter")
    assert forwarded.headers["header"] == "?\U0001f600"


async def test_a_fenced_batch_is_dropped_and_read_by_its_new_owner(world: World) -> None:
    fences = [Fenced("test")]
    await send(world, "a", "b")
    await run(world, Writes(lambda items: fences.pop() if fences else None))
    assert await effects(world) == ["a", "b"]
    assert await world.database.pool.fetchval("SELECT epoch FROM consumer_position") == 2


async def test_a_stop_while_waiting_is_immediate_and_leaves_the_group(world: World) -> None:
    await send(world, "a")
    task = asyncio.create_task(world.stream(Writes(lambda items: ConnectionError("away"))).run())
    await until(lambda: len(world.observed.reasons) >= 3)
    async with asyncio.timeout(1):
        await stop(task)
    assert task.cancelled()
    assert await effects(world) == []
    await run(world, Writes())
    assert await effects(world) == ["a"]


async def test_a_loop_that_has_records_and_does_not_move_is_found(world: World) -> None:
    class Hangs(Writes):
        async def prepare(self, items: Sequence[Item]) -> Sequence[Item]:
            await asyncio.Event().wait()
            return items

    await send(world, "a")
    stream = world.stream(Hangs())
    running = asyncio.create_task(stream.run())
    async with asyncio.timeout(10):
        with pytest.raises(Stalled, match="1 unread records and has not moved for"):
            await stream.watch(0.5)
    await stop(running)


async def test_a_loop_that_waits_for_something_or_has_nothing_to_do_is_not_stalled(world: World) -> None:
    stream = world.stream(Writes(lambda items: ConnectionError("away")))
    running = asyncio.create_task(stream.run())
    watching = asyncio.create_task(stream.watch(0.5))
    await asyncio.sleep(1.5)
    await send(world, "a")
    await until(lambda: len(world.observed.reasons) >= 4)
    assert not watching.done()
    await stop(running, watching)


@pytest.mark.parametrize("ticks", range(5))
async def test_a_stop_that_meets_a_wake_up_is_not_lost(world: World, ticks: int) -> None:
    consumer = world.bus.consumer(GROUP, [TOPIC])
    assert isinstance(consumer, PostgresConsumer)
    fetching = asyncio.create_task(consumer.fetch(10, wait=30))
    await asyncio.sleep(0.5)
    consumer._membership._wake.set()  # as a notification does
    for _ in range(ticks):
        await asyncio.sleep(0)
    fetching.cancel()
    done, _ = await asyncio.wait([fetching], timeout=1)
    await stop(fetching)
    await consumer.close()
    assert done


@given(st.data())
def test_a_batch_is_the_join_of_its_parts(data: st.DataObject) -> None:
    records, spans = [], []
    for slot in [("x", 0), ("x", 1), ("y", 0)][: data.draw(st.integers(1, 3))]:
        start = data.draw(st.integers(0, 5))
        offsets = sorted(data.draw(st.sets(st.integers(start, start + 20), min_size=1, max_size=6)))
        records += [Record(*slot, offset, "k", b"", {}, NOW) for offset in offsets]
        spans.append(Span(*slot, start, offsets[-1] + 1 + data.draw(st.integers(0, 2)), 7, "test"))
    batch = Batch(records, spans)
    parts = split(batch)
    assert join(parts) == batch
    assert [part.records for part in parts] == [[one] for one in records]
    number = data.draw(st.integers(0, len(parts) - 1))
    ends = {(s.topic, s.partition): s.end for part in parts[:number] for s in part.spans}
    for span in join(parts[number:]).spans:
        assert span.start == ends.get((span.topic, span.partition), span.start)
