"""One verdict on many items: what it decides, what a second reviewer judges beside it, and the one undo."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Collection
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.events import Coin, Why
from secondlook.common.contract.policy import Audit
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.migrate import migrate_schemas
from secondlook.reviewer_api.bulk.repository import Fresh
from secondlook.reviewer_api.bulk.service import checked
from tests.integration.review_world import POLICY, World, cancelled, code_of, fields_of, prior, requested
from tests.waiting import until

REJECT: dict[str, Any] = {"outcome": "reject", "labels": ["spam"]}
APPROVE: dict[str, Any] = {"outcome": "approve", "labels": []}
FREE = Coin(u=0.9, inclusion_probability=1.0, stratum="uncertain", approve=0.05, reject=0.05)
EVIDENCE = FREE.model_copy(update={"u": 0.04})


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def bulk(world: World, tasks: Collection[str], body: Any = REJECT, bulk_id: Any = None, **who: Any) -> Any:
    body = {"bulk_id": str(bulk_id or uuid4()), "task_ids": list(tasks), **body}
    return await world.call("POST", "/review/bulks", body, **who)


async def ids(world: World) -> dict[str, str]:
    rows = await world.database.pool.fetch("SELECT content_id, task_id FROM task")
    return {row["content_id"]: str(row["task_id"]) for row in rows}


async def test_many_are_judged_and_undone_as_one(world: World) -> None:
    await world.request(*(requested(f"c{n}", coin=FREE) for n in range(8)))
    [held] = await world.claim()
    [other] = await world.claim(name="bob")
    tasks = await ids(world)
    answer = (await bulk(world, tasks.values())).json()
    assert answer["judged"] == 7
    assert answer["left"] == [{"task_id": other["task_id"], "reason": "not_available"}]
    assert held["task_id"] not in {left["task_id"] for left in answer["left"]}, "what one holds is judged, too"
    assert (await bulk(world, tasks.values(), bulk_id=answer["bulk_id"])).json() == answer, "again changes nothing"
    assert code_of(await bulk(world, tasks.values(), APPROVE, answer["bulk_id"])) == "409 already_decided"
    assert code_of(await bulk(world, tasks.values(), bulk_id=answer["bulk_id"], name="bob")) == "409 already_decided"

    undo = f"/review/bulks/{answer['bulk_id']}/undo"
    assert (await world.call("POST", undo, name="bob")).status_code == 403
    assert (await world.call("POST", undo)).json() == {"bulk_id": answer["bulk_id"], "undone": 7, "left": []}
    assert (await world.call("POST", undo)).status_code == 404, "there is nothing left to undo"
    assert code_of(await bulk(world, tasks.values(), bulk_id=answer["bulk_id"])) == "409 already_decided"
    assert await world.publish() == 0
    again = (await bulk(world, tasks.values(), APPROVE)).json()
    assert again["judged"] == 7
    assert await world.publish() == 7
    decided = await world.published("moderation.decided")
    assert {(event["outcome"], event["reason"]) for event in decided} == {("approve", "reviewed: uncertain")}
    late = (await world.call("POST", f"/review/bulks/{again['bulk_id']}/undo", role="lead")).json()
    assert (late["undone"], {left["reason"] for left in late["left"]}) == (0, {"too_late"})


async def test_evidence_is_judged_by_a_second_reviewer_on_its_own(world: World) -> None:
    await world.request(
        requested("free", coin=FREE), requested("drawn", coin=EVIDENCE), requested("old", coin=Coin(u=0.2,
        inclusion_probability=1.0, stratum="uncertain")),
        requested("audit", coin=FREE, why=Why.AUDIT, prior=prior("audit", "reject", "spam")),
    )  # fmt: skip
    await world.caller("reviewer", "bob")
    tasks = await ids(world)
    assert (await bulk(world, tasks.values(), name="ann")).json()["judged"] == 4
    assert await world.publish() == 1
    assert [event["content_id"] for event in await world.published("moderation.decided")] == ["free"]
    assert (await bulk(world, tasks.values(), name="ann")).json()["judged"] == 0
    assert (await bulk(world, tasks.values(), name="bob")).json()["judged"] == 0, "a second opinion is no bulk"
    second = {task["content"]["content_id"]: task for task in await world.claim(10, name="bob")}
    assert set(second) == {"drawn", "old", "audit"}
    await world.reject(second["drawn"], "spam", name="bob")
    await world.approve(second["old"], name="bob")
    assert await world.publish() == 1
    labels = [event for event in await world.published("review.labelled") if event["content_id"] == "drawn"]
    assert len(labels) == 2
    [disputed] = await world.claim(10, role="lead", queue="leads")
    assert disputed["content"]["content_id"] == "old", "two who disagree go to a lead"


@given(st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1), st.floats(0, 1), st.floats(0, 1),
       st.sampled_from(list(Why)))  # fmt: skip
def test_what_is_checked(u: float, drawn: float | None, most: float, share: float, why: Why) -> None:
    item = Fresh(uuid4(), why, u, drawn, False)
    found = checked(item, Audit(most=most), share)
    if why in (Why.AUDIT, Why.SECOND_LOOK) or u < (most if drawn is None else drawn):
        assert found, "evidence never rests on a bulk"
    if share == 0 and why not in (Why.AUDIT, Why.SECOND_LOOK):
        assert found is (u < (most if drawn is None else drawn))
    if share == 1:
        assert found


async def test_two_who_judge_the_same_items_at_once(world: World) -> None:
    await world.request(*(requested(f"c{n}", coin=FREE) for n in range(40)))
    tasks = list((await ids(world)).values())
    for name in ("ann", "bob", "cid", "dan"):
        await world.caller("reviewer", name)
    answers = await asyncio.gather(
        *(bulk(world, tasks[:: 1 if n % 2 else -1], name=name) for n, name in enumerate(("ann", "bob", "cid", "dan")))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(answer.json()["judged"] for answer in answers) == 40
    assert await world.publish() == 40
    assert len({event["content_id"] for event in await world.published("moderation.decided")}) == 40


async def test_nobody_waits_for_an_item_that_another_is_judging(world: World) -> None:
    """Two who did, each with an item of the other's, would wait for ever."""
    await world.request(*(requested(f"c{n}", coin=FREE) for n in range(3)))
    tasks = await ids(world)
    async with world.database.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM task WHERE content_id = 'c1' FOR UPDATE")
        async with asyncio.timeout(10):
            answer = (await bulk(world, tasks.values())).json()
    assert (answer["judged"], [left["task_id"] for left in answer["left"]]) == (2, [tasks["c1"]])


async def test_what_the_policy_and_the_labels_allow(world: World) -> None:
    await world.request(*(requested(f"c{n}", coin=FREE) for n in range(3)), requested("two", coin=FREE))
    tasks = await ids(world)
    assert fields_of(await bulk(world, tasks.values(), {"outcome": "reject", "labels": ["unheard-of"]})) == {"labels"}
    assert fields_of(await bulk(world, tasks.values(), {"outcome": "approve", "labels": ["spam"]})) == {"labels"}
    assert fields_of(await bulk(world, [])) == {"task_ids"}
    unknown = (await bulk(world, [str(uuid4())])).json()
    assert (unknown["judged"], unknown["undo_until"], len(unknown["left"])) == (0, None, 1)
    for most, answer in ((2, "422"), (0, "409 bulk_off")):
        await world.api.policies.publish(parse_policy(f"{POLICY}review: {{max_bulk: {most}}}"), "lead-0")
        assert code_of(await bulk(world, tasks.values())).startswith(answer)


async def test_labels_that_take_two_and_queues_of_leads(world: World) -> None:
    await world.request(requested("c", coin=FREE), requested("d", coin=FREE, queue="leads"))
    tasks = await ids(world)
    answer = (await bulk(world, tasks.values(), {"outcome": "reject", "labels": ["csam"]})).json()
    assert (answer["judged"], [left["task_id"] for left in answer["left"]]) == (1, [tasks["d"]])
    assert await world.publish() == 0, "csam takes two"
    assert (await bulk(world, [tasks["d"]], role="lead")).json()["judged"] == 1
    assert await world.publish() == 1


async def test_an_undone_bulk_counts_as_one_return(world: World) -> None:
    await world.api.policies.publish(parse_policy(f"{POLICY}review: {{max_returns: 1}}"), "lead-0")
    await world.request(*(requested(f"c{n}", coin=FREE) for n in range(30)))
    tasks = await ids(world)
    for _ in range(2):
        made = (await bulk(world, tasks.values())).json()
        assert made["judged"] == 30
        await world.call("POST", f"/review/bulks/{made['bulk_id']}/undo")
    assert code_of(await bulk(world, tasks.values())) == "409 too_many_returns"


# ------------------------------------------------------------------------------------------------- near copies


def vector(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}e", *numbers)).decode()


async def near(world: World, task: Any, query: str = "", **who: Any) -> Any:
    return await world.call("GET", f"/review/tasks/{task['task_id']}/near{query}", **who)


async def kept(world: World) -> set[str]:
    rows = await world.database.pool.fetch("SELECT content_id FROM task_vector JOIN task USING (task_id)")
    return {row["content_id"] for row in rows}


async def test_near_copies_of_what_one_holds(world: World) -> None:
    vectors = {
        "held": vector(1, 0, 0), "same": vector(2, 0, 0), "close": vector(1, 0.2, 0), "far": vector(0, 1, 0),
        "other-encoder": vector(1, 0), "of-leads": vector(1, 0, 0), "skipped": vector(1, 0, 0),
        "bob's": vector(1, 0, 0), "broken": "no base64", "nothing": vector(0, 0, 0), "endless": vector(float("inf"), 0),
        "none": None,
    }  # fmt: skip
    for name, embedding in vectors.items():
        queue = "leads" if name == "of-leads" else "default"
        await world.request(requested(name, embedding=embedding, queue=queue, coin=FREE))
    assert await kept(world) == set(vectors) - {"broken", "endless", "none"}
    tasks = await ids(world)
    [skipped] = await world.claim(task_ids=[tasks["skipped"]])
    await world.act(skipped, "skip")
    await world.claim(task_ids=[tasks["bob's"]], name="bob")
    [held] = await world.claim(task_ids=[tasks["held"]])

    found = (await near(world, held)).json()
    assert found["available"]
    assert [(task["content_id"], round(task["similarity"], 2)) for task in found["tasks"]] == [
        ("same", 1.0), ("close", 0.98)
    ]  # fmt: skip
    assert [task["content_id"] for task in (await near(world, held, "?similarity=0.99")).json()["tasks"]] == ["same"]
    assert len((await near(world, held, "?limit=1")).json()["tasks"]) == 1
    assert code_of(await near(world, held, name="bob")) == "409 lease_lost"
    for wrong in ("?similarity=2", "?similarity=nan", "?limit=0"):
        assert (await near(world, held, wrong)).status_code == 422, wrong
    both = [held["task_id"], *(task["task_id"] for task in found["tasks"])]
    assert (await bulk(world, both)).json()["judged"] == 3


async def test_embeddings_are_kept_for_as_long_as_the_item_is_open(world: World) -> None:
    for name in ("judged", "edited", "gone", "stays"):
        await world.request(requested(name, embedding=vector(1, 0), coin=FREE))
    assert (await bulk(world, [(await ids(world))["judged"]])).json()["judged"] == 1
    assert await kept(world) == {"judged", "edited", "gone", "stays"}, "an undone verdict opens it again"
    await world.publish()
    await world.request(requested("edited", 2, coin=FREE), cancelled("gone", 1))
    assert await kept(world) == {"stays"}
    await world.database.pool.execute("DELETE FROM task_vector")
    slices = [part.work["embeddings"] for part in world.api.slices if "embeddings" in part.work]
    filling = asyncio.ensure_future(slices[0]())

    async def filled() -> bool:
        return await kept(world) == {"stays"}

    await until(filled)  # as after an upgrade
    filling.cancel()


async def test_without_pgvector_everything_else_works(database_url: str) -> None:
    """Whoever migrates may not add it, and nobody has."""
    connection = await asyncpg.connect(database_url)
    try:
        name = await connection.fetchval("SELECT 'plain_' || md5(random()::text)")
        await connection.execute(f"CREATE ROLE {name} LOGIN")
        await connection.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0")
        url = database_url.replace(f"/{await connection.fetchval('SELECT current_database()')}", f"/{name}", 1)
        url = url.replace("//postgres:@", f"//{name}:@", 1)
        assert name in url.split("?")[0].split("@")[0]
        try:
            await migrate_schemas(url)
            async with World.open(url) as world:
                await world.request(requested("a", embedding=vector(1, 0), coin=FREE))
                [held] = await world.claim()
                assert (await near(world, held)).json() == {"available": False, "tasks": []}
                assert (await bulk(world, [held["task_id"]])).json()["judged"] == 1
                assert await world.publish() == 1
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await connection.execute(f"DROP ROLE {name}")
    finally:
        await connection.close()
