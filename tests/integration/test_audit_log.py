"""What somebody does to another's work is in the audit log, by whom and to whom; what they do to their own is not."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from secondlook.common.contract.events import Coin, ContentDecided
from secondlook.reviewer_api.audit_log.service import AuditLogService
from tests.integration.review_world import World, requested
from tests.integration.test_reviewer_api_reads import log

FREE = Coin(u=0.9, inclusion_probability=1.0, stratum="uncertain", approve=0.05, reject=0.05)
REJECT: dict[str, Any] = {"outcome": "reject", "labels": ["spam"]}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        for name in ("ann", "ben"):
            await world.key("reviewer", name)
        yield world


async def done(world: World, path: str, body: Any = None, **who: Any) -> Any:
    answer = await world.call("POST", path, body, **who)
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


async def logged(world: World) -> list[tuple[str, str, str, Any]]:
    """Actor, action, object and details of each entry, oldest first."""
    entries = (await world.call("GET", "/audit-log?limit=200", role="admin")).json()["entries"]
    return [(each["actor"], each["action"], each["object"], each["details"]) for each in reversed(entries)]


async def published(world: World, content_id: str, name: str) -> str:
    """The id of a decision that this reviewer made, as everybody knows by now."""
    await world.request(requested(content_id, queue="photos"))
    [task] = await world.claim(name=name, queue="photos")
    await world.approve(task, name=name)
    await world.publish()
    [decided] = [event for event in await world.published("moderation.decided") if event["content_id"] == content_id]
    await log(world, ContentDecided.model_validate(decided, strict=False))
    return str(decided["decision_id"])


async def judged_together(world: World, name: str, *content_ids: str) -> str:
    await world.request(*(requested(content_id, coin=FREE) for content_id in content_ids))
    rows = await world.database.pool.fetch("SELECT task_id FROM task WHERE content_id = ANY ($1)", content_ids)
    bulk_id = str(uuid4())
    body = {"bulk_id": bulk_id, "task_ids": [str(row["task_id"]) for row in rows], **REJECT}
    assert (await done(world, "/review/bulks", body, name=name))["judged"] == len(content_ids)
    return bulk_id


async def test_what_a_lead_does_to_the_work_of_others_is_logged(world: World) -> None:
    lead, ann, ben = [
        (await world.caller("lead")).subject,
        *[(await world.caller("reviewer", name)).subject for name in ("ann", "ben")],
    ]
    before = len(await logged(world))
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    about = f"task {task['task_id']}"
    expected: list[tuple[str, str, str, Any]] = []

    await done(world, f"/review/tasks/{task['task_id']}/take-back", role="lead")
    expected += [(lead, "lease.taken_back", about, {"from": ann})]
    for to, told in ((ann, {"to": ann}), (ben, {"to": ben, "from": ann})):
        await done(world, f"/review/tasks/{task['task_id']}/assign", {"reviewer": to}, role="lead")
        expected += [(lead, "task.assigned", about, told)]

    [held] = (await world.call("GET", "/review/leases", name="ben")).json()["tasks"]
    await world.approve(held, name="ben")
    await done(world, f"/decisions/{task['task_id']}/undo", role="lead")
    expected += [(lead, "verdict.undone", about, {"of": ben})]

    bulk_id = await judged_together(world, "ann", "b", "c")
    await done(world, f"/review/bulks/{bulk_id}/undo", role="lead")
    expected += [(lead, "bulk.undone", f"bulk {bulk_id}", {"of": ann, "undone": 2})]

    decision_id = await published(world, "d", "ann")
    reason = {"reason": "it is an advertisement"}
    made = await done(world, f"/decisions/{decision_id}/reverse", {**REJECT, **reason}, role="lead")
    told = {"of": ann, "by_decision": made["decision_id"]}
    expected += [(lead, "decision.reversed", f"decision {decision_id}", told)]

    assert await world.api.policies.switch(lead, kill_switch=True) == 2
    expected += [(lead, "policy.published", "policy 2", {"name": "test", "kill_switch": True})]
    assert (await logged(world))[before:] == expected
    assert (await AuditLogService(world.database).verify())[1] is None


async def test_what_people_do_to_their_own_work_is_not_logged(world: World) -> None:
    before = await logged(world)
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await world.approve(task, name="ann")
    await done(world, f"/decisions/{task['task_id']}/undo", name="ann")
    bulk_id = await judged_together(world, "ann", "b", "c")
    await done(world, f"/review/bulks/{bulk_id}/undo", name="ann")
    decision_id = await published(world, "d", "ann")
    await done(world, f"/decisions/{decision_id}/reverse", {**REJECT, "reason": "I was wrong"}, name="ann")
    assert await logged(world) == before


async def test_an_undo_that_cannot_be_logged_does_not_happen(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim(name="ann")
    await world.approve(task, name="ann")
    await world.database.pool.execute("ALTER TABLE audit_log ADD CHECK (action <> 'verdict.undone')")
    undo = f"/decisions/{task['task_id']}/undo"
    assert (await world.call("POST", undo, role="lead")).status_code == 500
    before = await logged(world)
    await world.publish()
    assert len(await world.published("moderation.decided")) == 1, "the verdict stands"
    assert await logged(world) == before
