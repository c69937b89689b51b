"""What a new policy, or an odd one, does to the items that wait."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from secondlook.reviewer_api.review import claims
from secondlook.reviewer_api.review.repository import CLAIM_FROM_ALL, CLAIM_FROM_ONE
from tests.integration.review_world import POLICY, World, code_of, fields_of, requested

RENAMED = POLICY.replace("  leads: {sla_minutes: 240, role: lead}", "  chiefs: {role: lead}").replace(
    "queues:", "escalation_queue: chiefs\nqueues:"
)
DOCUMENTS = [
    "a: &n0 {k0: 1}\n" + "\n".join(f"n{n}: &n{n} {{<<: [{', '.join([f'*n{n - 1}'] * 10)}]}}" for n in range(1, 8)),
    POLICY.replace("name: test", "name: 2024-99-99"),
    POLICY.replace("name: test", 'name: "\\U00110000"'),
    POLICY.replace("name: test", "name: !!bool abc"),
    POLICY.replace("name: test", f"name: {'9' * 5000}"),
    POLICY.replace("name: test", "name: test\nname: again"),
    POLICY.replace("name: test", 'name: test\nsalt: "\\ud800"'),
    POLICY.replace("name: test", 'name: test\n"\\ud800": 1'),
    POLICY.replace("sla_minutes: 60", "sla_minutes: 99999999999999"),
    POLICY.replace("sla_minutes: 60", "sla_minutes: 2147483648"),
]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def apply(world: World, document: str) -> None:
    answer = await world.call("POST", "/policies", {"document": document}, role="lead")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_a_hostile_policy_is_refused_and_says_why(world: World, document: str) -> None:
    answer = await asyncio.wait_for(world.call("POST", "/policies", {"document": document}, role="lead"), 5)
    assert (answer.status_code, answer.json()["title"]) == (422, "PolicyRejected"), answer.text


async def test_the_longest_sla_can_be_claimed_and_listed(world: World) -> None:
    await apply(world, POLICY.replace("sla_minutes: 60", "sla_minutes: 525_600"))
    await world.request(requested("a"))
    [task] = await world.claim()
    assert task["due_at"] == "2027-01-01T00:00:00Z"
    queues = (await world.call("GET", "/queues")).json()["queues"]
    assert (queues[0]["sla_minutes"], queues[0]["overdue"]) == (525_600, 0)


async def test_backslashes_are_text_like_any_other(world: World) -> None:
    await apply(world, POLICY.replace("unwanted advertising", r"what \u0000 is"))
    assert (await world.claim()) == []


async def test_an_item_from_the_last_of_years_is_never_due(world: World) -> None:
    await world.request(requested("a", at=datetime(9999, 12, 31, 23, 59, tzinfo=UTC)))
    [task] = await world.claim()
    assert task["due_at"] is None
    assert (await world.call("GET", "/queues")).status_code == 200


async def test_a_claim_that_cannot_be_answered_leases_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no answer")

    await world.request(requested("a"))
    with monkeypatch.context() as broken:
        broken.setattr(claims, "_shown", fail)
        assert (await world.call("POST", "/review/claims", {})).status_code == 500
    assert await world.states() == {"a/1": "pending"}
    assert len(await world.claim()) == 1


async def test_a_stored_item_that_cannot_be_read_is_not_leased(world: World) -> None:
    await world.request(requested("a"))
    await world.database.pool.execute("UPDATE task_payload SET content = '{}'")
    assert (await world.call("POST", "/review/claims", {})).status_code == 500
    assert await world.states() == {"a/1": "pending"}


@pytest.mark.parametrize("document", [RENAMED, RENAMED + "  extra: {}\n"])
async def test_a_queue_that_the_policy_drops_is_left_to_the_leads(world: World, document: str) -> None:
    await world.request(requested("a", queue="leads"), requested("b"))
    await apply(world, document)
    assert [task["content"]["content_id"] for task in await world.claim(5)] == ["b"]
    assert code_of(await world.call("POST", "/review/claims", {"queue": "leads"})) == "403"
    assert code_of(await world.call("POST", "/review/claims", {"queue": "never"})) == "404"
    queues = {q["name"]: q for q in (await world.call("GET", "/queues")).json()["queues"]}
    assert (queues["leads"]["pending"], queues["leads"]["role"]) == (1, None)
    [task] = await world.claim(5, role="lead", queue="leads")
    await world.act(task, "release", role="lead")
    [task] = await world.claim(5, role="lead")
    await world.reject(task, "spam", role="lead")


async def test_what_came_before_any_policy_stays_with_the_reviewers(database_url: str) -> None:
    async with World.open(database_url, policy=None) as world:
        await world.request(requested("a"), requested("b"), requested("c", queue="other"))
        await apply(world, POLICY.replace("  default:", "  main:").replace("queues:", "default_queue: main\nqueues:"))
        found = [*await world.claim(1, queue="default"), *await world.claim(5)]
        assert {task["content"]["content_id"] for task in found} == {"a", "b"}
        assert len(await world.claim(5, role="lead")) == 1


async def test_a_default_queue_for_leads_is_closed_as_any_other(world: World) -> None:
    await world.request(requested("a"))
    await apply(world, POLICY.replace("default: {sla_minutes: 60}", "default: {role: lead}"))
    assert await world.claim() == []
    assert code_of(await world.call("POST", "/review/claims", {"queue": "default"})) == "403"
    assert len(await world.claim(role="lead")) == 1


async def test_a_claim_reads_the_queue_in_order_from_its_index(world: World) -> None:
    await world.request(*[requested(f"c{n}", priority=n % 5) for n in range(600)])
    await world.database.pool.execute("ANALYZE task")
    now = world.clock.now()
    for claim, where, index in [
        (CLAIM_FROM_ALL, ["default", "photos"], "task_open"),
        (CLAIM_FROM_ONE, "default", "task_open_in_queue"),
    ]:
        statement = claim.replace("{limit}", "5")
        given = [now, "r", now, False, where, now, ["default", "photos"]]
        planned = await world.database.pool.fetch(f"EXPLAIN {statement}", *given)
        text = "\n".join(row[0] for row in planned)
        assert f"using {index} on task" in text, text
        assert "Sort Key: task." not in text, text


async def test_a_rejection_by_labels_that_are_gone_is_never_published_as_allowed(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    await world.reject(task, "spam")
    await world.database.pool.execute("UPDATE judgement SET labels = '{gone}'")
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert (decision["outcome"], decision["labels"], decision["action"]) == ("reject", ["gone"], "remove")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"limit": ' + b"9" * 5000 + b"}", b'{"queue": "\xff"}', b"{"])
async def test_a_body_that_cannot_be_read_is_malformed(world: World, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {await world.key('reviewer')}", "Content-Type": "application/json"}
    answer = await world.client.post("/review/claims", content=body, headers=headers)
    assert code_of(answer) == "422 malformed"
    assert fields_of(answer) == {""}


async def test_a_reserved_label_cannot_be_added_and_one_from_before_keeps_its_kill_switch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = POLICY.replace("spam:", "review:", 1)
    with monkeypatch.context() as before_names_were_reserved:
        before_names_were_reserved.setattr("secondlook.common.contract.policy.RESERVED_LABELS", frozenset())
        await apply(world, reserved)
    await apply(world, reserved + "kill_switch: true\n")
    for document in (POLICY, POLICY.replace("spam:", "approve:", 1)):
        answer = await world.call("POST", "/policies", {"document": document}, role="lead")
        assert answer.status_code == (200 if document == POLICY else 422), answer.text
    assert answer.json()["detail"].startswith("labels: approve is reserved, ")
    active = (await world.call("GET", "/policies/active", role="lead")).json()
    assert sorted(active["policy"]["labels"]) == ["csam", "hate", "spam"]


async def test_a_salt_of_before_is_accepted_and_shown_to_nobody(world: World) -> None:
    document = POLICY.replace("name: test", "name: salted\nsalt: a-secret-of-before")
    said = await world.call("POST", "/policies", {"document": document}, role="lead")
    assert said.status_code == 200
    active = await world.call("GET", "/policies/active", role="lead")
    assert active.json()["policy"]["name"] == "salted"
    events = await world.published("policy.published")
    assert "a-secret-of-before" not in said.text + active.text + str(events)
    again = await world.call("POST", "/policies", {"document": document.replace("of-before", "of-now")}, role="lead")
    assert again.json()["version"] == said.json()["version"], "it has no effect, so nothing is new"
    stored = '{"name": "old", "labels": {"spam": {"description": "d"}}, "salt": "a-secret-of-before"}'
    await world.database.pool.execute("INSERT INTO policy VALUES (9, $1, now(), 'lead-0')", stored)
    old = await world.call("GET", "/policies/active")
    assert (old.json()["policy"]["name"], "a-secret" in old.text) == ("old", False)


async def test_a_policy_is_written_over_the_one_that_its_author_read(world: World) -> None:
    async def publish(document: str, over: int | None) -> str:
        answer = await world.call("POST", "/policies", {"document": document, "over": over}, role="lead")
        return str(answer.json().get("version") or code_of(answer))

    named = "name: {}\nmode: fixed\nlabels:\n  spam: {{description: advertising}}\n"
    assert await publish(named.format("first"), 0) == "409 policy_changed"
    assert await publish(named.format("second"), 1) == "2"
    assert await publish(named.format("third"), 1) == "409 policy_changed"
    assert await publish(named.format("third"), None) == "3"


async def test_a_check_says_what_publishing_would_and_changes_nothing(world: World) -> None:
    async def check(document: str) -> int:
        return (await world.call("POST", "/policies/check", {"document": document}, role="reviewer")).status_code

    good = "name: good\nmode: fixed\nlabels:\n  spam: {description: advertising}\n"
    assert await check(good) == 200
    for bad in ("name: [", "name: bad\nlabels: {}\n", good + "colour: red\n", good.replace("fixed", "odd")):
        published = await world.call("POST", "/policies", {"document": bad}, role="lead")
        assert await check(bad) == published.status_code, bad
    assert (await world.call("GET", "/policies/active", role="lead")).json()["version"] == 1
