"""Leads take items back, assign them, and see who holds and gives back what."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.review_world import LEASE, POLICY, World, cancelled, code_of, fields_of, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        for name in ("ann", "ben"):
            await world.key("reviewer", name)
        await world.key("lead")
        yield world


async def subject(world: World, name: str) -> str:
    return (await world.caller("lead" if name == "lead" else "reviewer", name)).subject


async def take_back(world: World, task: Any) -> httpx.Response:
    return await world.call("POST", f"/review/tasks/{task['task_id']}/take-back", role="lead")


async def assign(world: World, task: Any, to: str) -> httpx.Response:
    return await world.call("POST", f"/review/tasks/{task['task_id']}/assign", {"reviewer": to}, role="lead")


async def test_a_lead_ends_a_lease_and_its_holder_is_told(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    answer = await take_back(world, task)
    assert answer.json() == {"task_id": task["task_id"], "state": "pending", "queue": "default"}
    for what in ("heartbeat", "release", "skip", "escalate"):
        lost = await world.act(task, what, name="ann")
        assert code_of(lost) == "409 lease_lost"
        assert "a lead took this item back" in lost.json()["detail"]
    assert "a lead took" in (await world.approve(task, name="ann", status=409))["detail"]
    [taken] = await world.claim(name="ben")
    assert "a lead took" in (await world.approve(task, name="ann", status=409))["detail"]
    assert "a lead took" not in (await world.approve(taken, name="ann", status=409))["detail"]
    await world.approve(taken, name="ben")
    assert (await world.approve(task, name="ann", status=409))["code"] == "already_decided"


async def test_a_lead_assigns_an_item_that_the_reviewer_then_finds(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    [task] = await world.claim(name="ann")
    assert (await assign(world, task, await subject(world, "ben"))).status_code == 200
    lost = await world.act(task, "heartbeat", name="ann")
    assert (code_of(lost), "a lead took" in lost.json()["detail"]) == ("409 lease_lost", True)
    [mine] = (await world.call("GET", "/review/leases", name="ben")).json()["tasks"]
    assert mine["task_id"] == task["task_id"]
    assert mine["content"]["text"] == task["content"]["text"]
    assert mine["lease_expires_at"] == "2026-01-01T01:00:00Z", "as long as one may hold an item"
    again = await assign(world, task, await subject(world, "ben"))
    assert again.status_code == 200
    world.clock.turn(2 * LEASE)
    assert (await world.act(mine, "heartbeat", name="ben")).json()["lease_expires_at"] == mine["lease_expires_at"]
    await world.approve(mine, name="ben")
    assert await world.publish() == 1


async def test_a_waiting_item_can_be_assigned_also_to_who_released_it(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await world.act(task, "release", name="ann")
    assert await world.claim(name="ann") == []
    assert (await assign(world, task, await subject(world, "ann"))).status_code == 200
    assert len((await world.call("GET", "/review/leases", name="ann")).json()["tasks"]) == 1


async def test_who_may_not_judge_an_item_is_not_given_it(world: World) -> None:
    await world.request(requested("skipped"), requested("escalated"), requested("photo", queue="photos"))
    held = {task["content"]["content_id"]: task for task in await world.claim(3, name="ann")}
    await world.act(held["skipped"], "skip", name="ann")
    await world.act(held["escalated"], "escalate", name="ann")
    ann, ben = await subject(world, "ann"), await subject(world, "ben")
    refused = await assign(world, held["skipped"], ann)
    assert (code_of(refused), ann in refused.json()["detail"]) == ("409 excluded", True)
    refused = await assign(world, held["escalated"], ben)
    assert (code_of(refused), "leads" in refused.json()["detail"]) == ("409 not_for_reviewer", True)
    assert (await assign(world, held["escalated"], await subject(world, "lead"))).status_code == 200
    assert (await assign(world, held["photo"], ben)).status_code == 200
    for nobody in ("model", "reviewer-00000000", (await world.caller("upstream")).subject):
        answer = await assign(world, held["skipped"], nobody)
        assert fields_of(answer) == {"reviewer"}
        assert nobody in answer.text
    keys = {row["subject"]: row["key_id"] for row in await world.api.keys.list()}
    await world.api.keys.revoke(keys[ben])
    assert fields_of(await assign(world, held["skipped"], ben)) == {"reviewer"}
    assert fields_of(await assign(world, held["skipped"], "no such name!")) == {"reviewer"}


async def test_an_assigned_item_counts_as_a_lease(world: World) -> None:
    document = POLICY + "review: {max_leases: 1}\n"
    await world.call("POST", "/policies", {"document": document}, role="lead")
    await world.request(requested("a"), requested("b"))
    [a] = await world.claim(name="ann")
    [b] = await world.claim(name="ben")
    refused = await assign(world, a, await subject(world, "ben"))
    assert code_of(refused) == "409 too_many_leases"
    assert await subject(world, "ben") in refused.json()["detail"]
    await take_back(world, b)
    assert (await assign(world, a, await subject(world, "ben"))).status_code == 200
    assert code_of(await world.call("POST", "/review/claims", {}, name="ben")) == "409 too_many_leases"


@pytest.mark.parametrize("what", ["take-back", "assign"])
async def test_what_is_settled_stays(world: World, what: str) -> None:
    body = {"reviewer": await subject(world, "ben")} if what == "assign" else None
    await world.request(*[requested(name) for name in ("decided", "second", "gone", "edited")])
    held = {task["content"]["content_id"]: task for task in await world.claim(4, name="ann")}
    await world.approve(held["decided"], name="ann")
    await world.reject(held["second"], "csam", name="ann")
    await world.request(cancelled("gone", 1), requested("edited", 2))

    async def code(name: str) -> str:
        path = f"/review/tasks/{held[name]['task_id']}/{what}"
        return code_of(await world.call("POST", path, body, role="lead"))

    assert await code("decided") == "409 already_decided"
    assert await code("second") == "409 undo_open"
    assert await code("gone") == "409 withdrawn"
    assert await code("edited") == "409 superseded"
    await world.publish()
    assert await code("decided") == "409 already_decided"
    unknown = await world.call("POST", f"/review/tasks/{uuid4()}/{what}", body, role="lead")
    assert unknown.status_code == 404
    if what == "take-back":
        assert await code("second") == "409 not_leased"


async def test_leads_see_who_holds_what_without_the_tokens(world: World) -> None:
    await world.request(*[requested(f"{n}") for n in range(3)])
    mine = await world.claim(2, name="ann")
    await world.claim(1, name="ben")
    everyone = (await world.call("GET", "/review/leases/all", role="lead")).json()["leases"]
    ann = await subject(world, "ann")
    assert {lease["task_id"] for lease in everyone if lease["reviewer"] == ann} == {task["task_id"] for task in mine}
    assert len(everyone) == 3
    assert mine[0]["lease_token"] not in str(everyone)
    only = (await world.call("GET", f"/review/leases/all?reviewer={ann}", role="lead")).json()["leases"]
    assert only == [lease for lease in everyone if lease["reviewer"] == ann]
    assert only[0]["held_since"] == "2026-01-01T00:00:00Z"
    assert (await world.call("GET", "/review/leases/all", name="ann")).status_code == 403


async def test_leads_see_who_gives_back_how_much(world: World) -> None:
    await world.request(*[requested(f"{n}") for n in range(9)])
    ways = ["approve", "approve", "release", "skip", "escalate", "undo", "take-back", "keep", "lapse"]
    held = await world.claim(9, name="ann")
    for way, task in zip(ways, held, strict=True):
        if way in ("approve", "undo"):
            said = await world.approve(task, name="ann")
        if way == "undo":
            await world.call("POST", f"/decisions/{said['decision_id']}/undo", name="ann")
        if way == "take-back":
            await take_back(world, task)
        if way in ("release", "skip", "escalate"):
            await world.act(task, way, name="ann")
    world.clock.turn(LEASE - 1)
    await world.act(held[7], "heartbeat", name="ann")
    world.clock.turn(1)
    assert held[8]["task_id"] in {task["task_id"] for task in await world.claim(50, name="ben")}
    answer = (await world.call("GET", "/review/reviewers", role="lead")).json()
    name = await subject(world, "ann")
    ann = next(counts for counts in answer["reviewers"] if counts["reviewer"] == name)
    assert ann == {
        "reviewer": name, "last_seen": "2026-01-01T00:04:59Z", "leases": 1,
        "longest_held_since": "2026-01-01T00:00:00Z", "judged": 2, "undone": 1, "released": 1, "skipped": 1,
        "escalated": 1, "expired": 1, "taken_back": 1,
    }  # fmt: skip
    world.clock.turn(3600)
    hour = (await world.call("GET", "/review/reviewers?hours=1", role="lead")).json()["reviewers"]
    ann = next(counts for counts in hour if counts["reviewer"] == name)
    assert {ann[way] for way in ("judged", "undone", "released", "skipped", "escalated", "taken_back")} == {0}
    assert (await world.call("GET", "/review/reviewers", name="ann")).status_code == 403
    metrics = (await world.client.get("http://reviewer/metrics")).text
    for how in ("released", "skipped", "escalated", "expired", "taken_back"):
        assert f'secondlook_review_returned_total{{how="{how}"}} 1.0' in metrics
