"""The feed: every decision once, oldest first, in the order of the commits, over any cursor and any restart."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from typing import Any

import httpx
import pytest

from secondlook.common.contract.reports import ReviewReported
from secondlook.common.service.permissions import Role
from secondlook.reviewer_api.decisions import repository
from secondlook.reviewer_api.feed import service
from secondlook.reviewer_api.feed.repository import Which
from secondlook.reviewer_api.feed.routes import lines
from tests.integration.review_world import World, code_of, fields_of, requested
from tests.integration.webhook_world import decided, publish, some


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def read(world: World, role: Role = "service", name: str = "", **query: Any) -> Any:
    path = f"/decisions/feed?{httpx.QueryParams({name: value for name, value in query.items() if value is not None})}"
    answer = await world.call("GET", path, role=role, name=name)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def everything(world: World, limit: int = 7, **query: Any) -> list[Any]:
    found, after = [], None
    while page := (answer := await read(world, after=after, limit=limit, **query))["decisions"]:
        found += page
        after = answer["next"]
    return found


def ids(decisions: list[Any]) -> list[str]:
    return [f"{one['content_id']}/{one['sequence']}" for one in decisions]


async def test_every_decision_once_oldest_first(world: World) -> None:
    decisions = some(50, 9)
    for start in range(0, 50, 11):
        await publish(world, *decisions[start : start + 11])
    await publish(world, *decisions[:30], decisions[3])  # repeats change nothing
    assert ids(await everything(world)) == [f"{d.content_id}/{d.sequence}" for d in decisions]
    numbers = [row["position"] for row in await world.database.pool.fetch("SELECT position FROM feed ORDER BY 1")]
    assert numbers == list(range(1, 51)), "dense"


async def test_no_commit_is_skipped_whoever_writes_at_once(world: World) -> None:
    """Writers that commit late, and roll back: a follower that reads all the time misses none and sees none twice."""
    chance, done = random.Random(7), asyncio.Event()
    seen: list[str] = []
    kept: list[str] = []

    async def write(number: int) -> None:
        for turn in range(12):
            decisions = [decided(f"w{number}-{turn}-{n}") for n in range(chance.randint(1, 4))]
            async with world.database.pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                await repository.insert(connection, decisions)
                await asyncio.sleep(chance.random() / 200)
                if chance.random() < 0.2:
                    await transaction.rollback()
                else:
                    await transaction.commit()
                    kept.extend(d.content_id for d in decisions)

    async def follow() -> None:
        after = None
        while True:
            over = done.is_set()
            answer = await read(world, after=after, limit=5)
            seen.extend(one["content_id"] for one in answer["decisions"])
            after = answer["next"]
            if over and not answer["decisions"]:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(5)))
    done.set()
    await following
    assert sorted(seen) == sorted(kept)
    assert len(set(seen)) == len(seen)


async def test_a_cursor_survives_the_service(world: World, database_url: str) -> None:
    await publish(world, *some(5, 5, "a"))
    after = (await read(world, limit=3))["next"]
    async with World.open(database_url, policy=None, keys=world.keys) as again:
        assert ids((await read(again, after=after))["decisions"]) == ["a-3/1024", "a-4/1024"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "0-1", "00000000-1", "00000000-01", "00000000-\u0661", "now ", "-1", "9" * 40]
)
async def test_a_cursor_that_is_none(world: World, cursor: str) -> None:
    answer = await world.call("GET", f"/decisions/feed?{httpx.QueryParams({'after': cursor})}", role="service")
    assert fields_of(answer) == {"after"}


async def test_a_cursor_of_another_deployment_or_from_before_a_restore(world: World) -> None:
    await publish(world, *some(3, 3))
    feed, _, position = (await read(world))["next"].partition("-")
    for cursor, problem in ((f"{int(feed, 16) ^ 1:08x}-1", "another deployment"), (f"{feed}-4", "beyond the end")):
        for path in ("feed", "stream"):
            answer = await world.call("GET", f"/decisions/{path}?after={cursor}", role="service")
            assert fields_of(answer) == {"after"}
            assert problem in answer.json()["errors"][0]["problem"]
    assert position == "3"


async def test_what_is_asked_for(world: World) -> None:
    await publish(
        world,
        decided("a"),
        decided("b", source="shop", labels=("hate",)),
        decided("c", outcome="approve", labels=(), decided_by="reviewer-1"),
        decided("d", labels=("hate", "spam")),
    )
    asked: list[tuple[dict[str, Any], str]] = [
        ({"source": "shop"}, "b"), ({"label": "hate"}, "bd"), ({"outcome": "approve"}, "c"),
        ({"decided_by": "reviewer-1"}, "c"), ({"decided_by": "model", "label": "spam"}, "ad"), ({"after": "now"}, ""),
        ({"source": "nowhere"}, ""),
    ]  # fmt: skip
    for query, found in asked:
        answer = await read(world, **query)
        assert "".join(one["content_id"] for one in answer["decisions"]) == found, query
        assert answer["next"].endswith("-4"), "the cursor moves over what was not asked for"


async def test_waiting_ends_with_the_next_decision(world: World) -> None:
    looking = asyncio.create_task(look(world))
    try:
        start = (await read(world, after="now"))["next"]
        waiting = asyncio.create_task(read(world, after=start, wait=20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await publish(world, decided("a"))
        assert ids((await asyncio.wait_for(waiting, 5))["decisions"]) == ["a/1024"]
        nothing = await read(world, after="now", wait=0.2)
        assert nothing["decisions"] == []
        world.api.feed.end()
        ended = await asyncio.wait_for(read(world, after="now", wait=20), 5)
        assert ended["decisions"] == [], "the service stops"
    finally:
        looking.cancel()


async def test_only_so_many_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_OF_ONE", 2)
    await world.key("service")
    waiting = [asyncio.create_task(read(world, after="now", wait=1)) for _ in range(2)]
    await asyncio.sleep(0.3)
    answer = await world.call("GET", "/decisions/feed?after=now&wait=1", role="service")
    assert code_of(answer).startswith("503")
    assert (await read(world, name="another", after="now", wait=0.1))["decisions"] == []
    await asyncio.gather(*waiting)


async def test_the_stream_goes_on_behind_the_last_event(world: World) -> None:
    looking = asyncio.create_task(look(world))
    await publish(world, *some(3, 3, "a"))
    events = [event async for event in stream(world, 3)]
    assert ids([event["data"] for event in events]) == ["a-0/1024", "a-1/1024", "a-2/1024"]
    coming = asyncio.create_task(collect(world, 3, {"Last-Event-ID": events[1]["id"]}))
    await asyncio.sleep(0.2)
    await publish(world, *some(2, 2, "b"))
    assert ids([event["data"] for event in await coming]) == ["a-2/1024", "b-0/1024", "b-1/1024"]
    looking.cancel()


async def test_a_key_for_some_sources_reads_only_of_these(world: World) -> None:
    world.keys["bound"] = await world.api.keys.create("bound", "service", ["shop"])
    await publish(world, decided("a"), decided("b", source="shop"))
    assert ids((await read(world, name="bound"))["decisions"]) == ["b/1024"]
    for path in ("/decisions/feed?source=forum", "/content/forum/a", "/authors/forum/x"):
        answer = await world.call("GET", path, role="service", name="bound")
        assert code_of(answer).startswith("403"), path
        assert "only of: shop" in answer.json()["detail"]
    listed = (await world.call("GET", "/decisions", role="service", name="bound")).json()
    assert ids(listed["decisions"]) == ["b/1024"]
    await world.request(*[_request("forum", "x1"), _request("shop", "x2")])
    found = (await world.call("GET", "/search", role="service", name="bound")).json()["items"]
    assert [hit["content_id"] for hit in found] == ["x2"]


async def test_who_reviews_does_not_read_what_is_in_their_hands(world: World) -> None:
    await world.request(_request("forum", "a"))
    await publish(world, decided("a"), decided("b"))
    [task] = await world.claim(role="admin")
    assert task["content"]["content_id"] == "a"
    assert ids((await read(world, role="admin"))["decisions"]) == ["b/1024"]
    assert ids((await read(world))["decisions"]) == ["a/1024", "b/1024"]


async def test_a_database_from_before_has_all_its_decisions_in_order(world: World) -> None:
    """The migration numbers what is there: of one piece of content by sequence, whatever the clocks said."""
    rows = [decided(f"m-{n % 4}", n // 4, decided_at=decided("x").decided_at.replace(day=28 - n)) for n in range(12)]
    await publish(world, *rows)
    text = (_migration("0018_feed.sql")).partition("-- What was decided before")[2].partition("\n")[2]
    await world.database.pool.execute("DELETE FROM feed; DELETE FROM feed_head;")
    await world.database.pool.execute(text)
    found = await everything(world)
    assert sorted(ids(found)) == sorted(f"{d.content_id}/{d.sequence}" for d in rows)
    for key in {d.content_id for d in rows}:
        sequences = [one["sequence"] for one in found if one["content_id"] == key]
        assert sequences == sorted(sequences)


async def test_a_decision_of_a_person_names_the_reports_that_it_answers(world: World) -> None:
    """By feed and by webhook alike, so that upstream can tell those who reported."""
    when = decided("x").decided_at
    reports = [
        ReviewReported(
            source="forum", content_id=content_id, report_id=report_id, reason="spam", note=None,
            reported_at=when - timedelta(minutes=1), received_at=when,
        )
        for content_id, report_id in (("a", "r1"), ("a", "r2"), ("b", "r3"))
    ]  # fmt: skip
    await world.request(*reports)
    await publish(world, decided("b"), decided("a", 1, decided_by="reviewer-1"))
    answers = {one["content_id"]: one["reports"] for one in (await read(world))["decisions"]}
    assert answers == {"a": ["r1", "r2"], "b": []}, "a model's decision answers nothing"


async def look(world: World) -> None:
    while True:
        await world.api.feed.look()
        await asyncio.sleep(0.02)


async def stream(world: World, count: int, headers: dict[str, str] | None = None) -> Any:
    async for event in _events(world, headers or {}):
        yield event
        count -= 1
        if not count:
            return


async def collect(world: World, count: int, headers: dict[str, str]) -> list[Any]:
    return [event async for event in stream(world, count, headers)]


async def _events(world: World, headers: dict[str, str]) -> Any:
    """Events as the generator writes them: httpx's ASGI transport would wait for the end."""
    caller = await world.caller("service")
    async for text in lines(world.api.feed.stream(caller, headers.get("Last-Event-ID"), Which())):
        for event in text.decode().split("\n\n"):
            if event.startswith("id: "):
                number, kind, data = event.split("\n")
                assert kind == "event: decision"
                yield {"id": number.removeprefix("id: "), "data": json.loads(data.removeprefix("data: "))}


def _request(source: str, content_id: str) -> Any:
    return requested(content_id, source=source)


def _migration(name: str) -> str:
    return (files("secondlook.reviewer_api") / "migrations" / name).read_text()
