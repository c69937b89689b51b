"""One reviewer beside others: how much they may hold, for how long, and what becomes of what they give back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.review_world import GRACE, LEASE, POLICY, World, code_of, requested

MINUTE = 60.0
OTHERS_FIRST = 15 * MINUTE


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Two reviewers and a lead."""
    async with World.open(database_url) as world:
        for name in ("ann", "ben"):
            await world.key("reviewer", name)
        await world.key("lead")
        yield world


async def limit(world: World, **limits: int) -> None:
    document = POLICY + "review: {" + ", ".join(f"{name}: {value}" for name, value in limits.items()) + "}\n"
    answer = await world.call("POST", "/policies", {"document": document}, role="lead")
    assert answer.status_code == 200, answer.text


async def claims(world: World, name: str, limit: int = 50, **more: Any) -> tuple[str, list[Any]]:
    """The problem code, or nothing, and the tasks."""
    answer = await world.call("POST", "/review/claims", {"limit": limit, **more}, name=name)
    return ("", answer.json()["tasks"]) if answer.status_code == 200 else (code_of(answer), [])


async def test_one_key_leases_no_more_than_the_policy_allows(world: World) -> None:
    await world.request(*[requested(f"{n}") for n in range(120)])
    assert [len((await claims(world, "ann", 30))[1]) for _ in range(2)] == [30, 20]
    code, _ = await claims(world, "ann", 1)
    assert code == "409 too_many_leases"
    answer = await world.call("POST", "/review/claims", {}, name="ann")
    assert "GET /v1/review/leases" in answer.json()["detail"]
    assert len(await world.claim(50, name="ben")) == 50


@pytest.mark.parametrize("way_out", ["approve", "release", "skip", "escalate", "lapse"])
async def test_whatever_ends_a_lease_makes_room_for_another(world: World, way_out: str) -> None:
    await limit(world, max_leases=2)
    await world.request(*[requested(f"{n}") for n in range(4)])
    [first, _] = await world.claim(2, name="ann")
    if way_out == "approve":
        await world.approve(first, name="ann")
    elif way_out == "lapse":
        world.clock.turn(LEASE / 2)
        await world.act(_, "heartbeat", name="ann")
        world.clock.turn(LEASE / 2)
    else:
        await world.act(first, way_out, name="ann")
    code, tasks = await claims(world, "ann")
    assert (code, len(tasks)) == ("", 1)
    assert tasks[0]["task_id"] != first["task_id"]


async def test_claims_at_the_same_moment_keep_to_the_cap_together(world: World) -> None:
    await limit(world, max_leases=10)
    await world.request(*[requested(f"{n}") for n in range(100)])
    answers = await asyncio.gather(*[claims(world, "ann", 3) for _ in range(12)])
    assert sum(len(tasks) for _, tasks in answers) == 10
    assert {code for code, tasks in answers if not tasks} == {"409 too_many_leases"}


async def test_a_lease_that_ran_out_is_not_kept_beyond_the_cap(world: World) -> None:
    await limit(world, max_leases=1)
    await world.request(requested("a"), requested("b"))
    [old] = await world.claim(name="ann")
    world.clock.turn(LEASE)
    [new] = await world.claim(name="ann")
    assert new["task_id"] != old["task_id"]
    assert code_of(await world.act(old, "heartbeat", name="ann")) == "409 too_many_leases"
    await world.approve(new, name="ann")
    assert (await world.act(old, "heartbeat", name="ann")).status_code == 200


async def test_a_lower_cap_takes_nothing_away(world: World) -> None:
    await world.request(*[requested(f"{n}") for n in range(6)])
    held = await world.claim(5, name="ann")
    await limit(world, max_leases=2)
    assert (await claims(world, "ann"))[0] == "409 too_many_leases"
    assert (await world.act(held[0], "heartbeat", name="ann")).status_code == 200
    for task in held:
        await world.approve(task, name="ann")
    assert len(await world.claim(5, name="ann")) == 1


async def hold(world: World, task: Any, minutes: float, name: str) -> None:
    """Heartbeats every four minutes until so much time is over."""
    while minutes > 0:
        world.clock.turn(min(4, minutes) * MINUTE)
        minutes -= 4
        if minutes > 0:
            assert (await world.act(task, "heartbeat", name=name)).status_code == 200


async def test_an_item_is_held_for_an_hour_at_the_most(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await hold(world, task, 58, "ann")
    answer = await world.act(task, "heartbeat", name="ann")
    assert answer.json()["lease_expires_at"] == "2026-01-01T01:00:00Z", "the last lease is shorter"
    assert await world.claim(name="ben") == []
    world.clock.turn(2 * MINUTE)
    refused = await world.act(task, "heartbeat", name="ann")
    assert code_of(refused) == "409 held_too_long"
    assert "60 minutes" in refused.json()["detail"]
    assert await world.claim(name="ann") == [], "others first"
    [taken] = await world.claim(name="ben")
    assert code_of(await world.act(task, "heartbeat", name="ann")) == "409 lease_lost"
    await world.approve(taken, name="ben")


async def test_what_was_held_too_long_can_be_judged_while_nobody_took_it(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await hold(world, task, 58, "ann")
    world.clock.turn(10 * MINUTE)
    await world.reject(task, "spam", name="ann")
    assert await world.publish() == 1


@pytest.mark.parametrize("how", ["release", "lapse", "undo", "take-back"])
async def test_claiming_again_does_not_renew_the_hour(world: World, how: str) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await hold(world, task, 45, "ann")
    if how == "undo":
        said = await world.approve(task, name="ann")
        await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="ann")
    elif how == "release":
        await world.act(task, "release", name="ann")
    elif how == "take-back":
        await world.call("POST", f"/review/tasks/{task['task_id']}/take-back", role="lead")
    if how != "undo":
        world.clock.turn(OTHERS_FIRST + LEASE)
    [again] = await world.claim(name="ann")
    if how == "undo":
        await hold(world, again, 12, "ann")
        world.clock.turn(4 * MINUTE)
    assert code_of(await world.act(again, "heartbeat", name="ann")) == "409 held_too_long"


async def test_an_undo_when_the_hour_is_over_leaves_the_item_to_others(world: World) -> None:
    await limit(world, max_returns=1000)
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    for _ in range(390):  # judge, take it back, claim it again: nine seconds each, an hour at the most
        said = await world.approve(task, name="ann")
        world.clock.turn(GRACE - 1)
        await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="ann")
        mine = await world.claim(name="ann")
        if not mine:
            break
        [task] = mine
        world.clock.turn(1)
    assert world.clock.now().isoformat() < "2026-01-01T01:00:10", "it never ended"
    assert len(await world.claim(name="ben")) == 1


@pytest.mark.parametrize("how", ["release", "lapse", "take-back"])
async def test_what_one_gives_back_is_for_others_first(world: World, how: str) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    if how == "lapse":
        world.clock.turn(LEASE)
    elif how == "take-back":
        answer = await world.call("POST", f"/review/tasks/{task['task_id']}/take-back", role="lead")
        assert answer.json()["state"] == "pending"
    else:
        await world.act(task, "release", name="ann")
    for _ in range(40):
        assert await world.claim(5, name="ann") == []
    world.clock.turn(OTHERS_FIRST - 1)
    assert await world.claim(name="ann") == []
    world.clock.turn(1)
    assert len(await world.claim(name="ann")) == 1, "nobody else took it, so nobody waits forever"


async def test_others_get_what_was_released_at_once(world: World) -> None:
    await world.request(*[requested(f"{n}") for n in range(60)])
    mine = await world.claim(50, name="ann")
    for task in mine:
        await world.act(task, "release", name="ann")
    rest = await world.claim(50, name="ann")
    assert len(rest) == 10
    assert not {task["task_id"] for task in mine} & {task["task_id"] for task in rest}
    assert {task["task_id"] for task in await world.claim(50, name="ben")} == {task["task_id"] for task in mine}


async def test_who_is_alone_need_not_wait_for_others(database_url: str) -> None:
    async with World.open(database_url) as world:
        await world.request(requested("a"))
        [task] = await world.claim(name="ann")
        await world.act(task, "release", name="ann")
        [task] = await world.claim(name="ann")
        world.clock.turn(LEASE)
        await world.claim(name="ann")
        await world.key("reviewer", "ben")  # a colleague
        world.clock.turn(LEASE)
        assert await world.claim(name="ann") == []


async def test_who_is_the_last_that_an_item_does_not_exclude_need_not_wait(world: World) -> None:
    await world.request(requested("a"))
    for name in ("ben", "lead"):
        [task] = await world.claim(name=name, role="lead" if name == "lead" else "reviewer")
        await world.act(task, "skip", name=name, role="lead" if name == "lead" else "reviewer")
    [task] = await world.claim(name="ann")
    await world.act(task, "release", name="ann")
    assert len(await world.claim(name="ann")) == 1


@pytest.mark.parametrize("way_out", ["release", "skip", "escalate", "lapse"])
async def test_nobody_looks_through_the_queue_for_what_they_like(world: World, way_out: str) -> None:
    await limit(world, max_returns=10, max_leases=5)
    await world.request(*[requested(f"{n}") for n in range(100)])
    seen, code = 0, ""
    while not code and seen < 100:
        code, tasks = await claims(world, "ann", 5)
        seen += len(tasks)
        for task in tasks:
            if way_out != "lapse":
                await world.act(task, way_out, name="ann")
        world.clock.turn(LEASE if way_out == "lapse" else 1)
    assert (code, seen) == ("409 too_many_returns", 15)
    world.clock.turn(60 * MINUTE)
    assert len((await claims(world, "ann", 5))[1]) == 5, "an hour later there is another chance"


async def test_verdicts_that_are_undone_keep_no_items_from_others(world: World) -> None:
    """A decided item is no lease: without a limit one key could decide the whole queue, undo it, and begin again."""
    await limit(world, max_returns=10, max_leases=5)
    await world.request(*[requested(f"{n}") for n in range(10)])
    code, rounds = "", 0
    while not code and rounds < 20:
        code, tasks = await claims(world, "ann", 5)
        for said in [await world.approve(task, name="ann") for task in tasks]:
            await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="ann")
        rounds += 1
    assert (code, rounds) == ("409 too_many_returns", 4)
    assert len(await world.claim(10, name="ben")) == 5


async def test_who_judges_may_give_back_as_much_again(world: World) -> None:
    await limit(world, max_returns=2)
    await world.request(*[requested(f"{n}") for n in range(40)])
    for _ in range(12):
        [one, other] = await world.claim(2, name="ann")
        await world.approve(one, name="ann")
        await world.act(other, "skip", name="ann")
    said = [await world.approve(task, name="ann") for task in await world.claim(1, name="ann")]
    for task in await world.claim(4, name="ann"):
        await world.act(task, "skip", name="ann")
    assert (await claims(world, "ann", 1))[0] == "409 too_many_returns"  # 16 back, 13 judged
    await world.call("POST", f"/decisions/{said[0]['decision_id']}/undo", name="ann")
    assert (await claims(world, "ann", 1))[0] == "409 too_many_returns"


async def test_what_a_lead_takes_back_is_not_held_against_a_reviewer(world: World) -> None:
    await limit(world, max_returns=0)
    await world.request(requested("a"), requested("b"))
    [task] = await world.claim(name="ann")
    await world.call("POST", f"/review/tasks/{task['task_id']}/take-back", role="lead")
    assert len(await world.claim(name="ann")) == 1


async def test_a_client_that_crashed_finds_its_leases_again(world: World) -> None:
    await world.request(*[requested(f"{n}", priority=n) for n in range(3)])
    claimed = await world.call("POST", "/review/claims", {"limit": 2}, name="ann")
    found = await world.call("GET", "/review/leases", name="ann")
    assert found.json() == claimed.json(), "all that the claim showed, in its order"
    assert (await world.call("GET", "/review/leases", name="ben")).json()["tasks"] == []
    [first, second] = found.json()["tasks"]
    await world.approve(first, name="ann")
    assert [task["task_id"] for task in (await world.call("GET", "/review/leases", name="ann")).json()["tasks"]] == [
        second["task_id"]
    ]
    world.clock.turn(LEASE)
    assert (await world.call("GET", "/review/leases", name="ann")).json()["tasks"] == []


async def test_leases_are_listed_without_a_policy(database_url: str) -> None:
    async with World.open(database_url, policy=None) as world:
        await world.request(requested("a"))
        [task] = await world.claim()
        assert (await world.call("GET", "/review/leases")).json()["tasks"] == [task]
