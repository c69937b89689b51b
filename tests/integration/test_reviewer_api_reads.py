"""Queues, metrics, policies, decisions and the history of a piece of content."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from secondlook.common.bus.wire import MAX_BYTES
from secondlook.common.contract.events import ContentDecided, decision_id, first_sequence
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import PolicyRejected
from secondlook.reviewer_api.decisions.handler import DecisionHandler
from tests.integration.review_world import POLICY, START, World, cancelled, items, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


def decision(
    content_id: str, revision: int = 1, *, step: int = 0, seconds: float = 0, by: str = "model"
) -> ContentDecided:
    sequence = first_sequence(revision) + step
    return ContentDecided(
        source="forum", content_id=content_id, revision=revision, sequence=sequence,
        decision_id=decision_id("forum", content_id, revision, sequence),
        outcome="reject" if step else "approve", labels=("spam",) if step else (), action="hide" if step else "allow",
        decided_by=by, decided_at=START + timedelta(seconds=seconds), confidence=0.9, policy_version=1,
        bundle_version="b1", reason="scores",
    )  # fmt: skip


async def log(world: World, *decisions: ContentDecided) -> None:
    handler = DecisionHandler()
    async with world.transactions.begin() as work:
        await handler.apply(work, await handler.prepare(items(decisions)))


async def test_queues_show_depth_age_and_what_is_overdue(world: World) -> None:
    await world.request(*[requested(f"{n}", at=START + timedelta(minutes=n)) for n in range(3)])
    await world.request(requested("gone", queue="old", at=START))
    world.clock.turn(61 * 60)
    await world.claim(1, queue="default")
    queues = {q["name"]: q for q in (await world.call("GET", "/queues")).json()["queues"]}
    assert list(queues) == ["default", "photos", "leads", "old"]
    assert queues["default"] == {
        "name": "default", "role": "reviewer", "pending": 2, "leased": 1, "oldest_pending_seconds": 3600.0,
        "sla_minutes": 60, "overdue": 1,
    }  # fmt: skip
    assert (queues["photos"]["pending"], queues["photos"]["oldest_pending_seconds"]) == (0, None)
    assert (queues["old"]["role"], queues["old"]["sla_minutes"], queues["old"]["overdue"]) == (None, None, 0)
    world.clock.turn(301)
    queues = {q["name"]: q for q in (await world.call("GET", "/queues")).json()["queues"]}
    assert (queues["default"]["pending"], queues["default"]["leased"]) == (3, 0)


async def test_metrics_follow_the_queue(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    a, b = await world.claim(2)
    await world.reject(a, "spam")
    await world.act(b, "release")
    await world.act(b, "release")
    world.clock.turn(60)
    await world.api.publisher.publish_due()
    await world.api.queues.measure()
    lines = set((await world.client.get("http://reviewer/metrics")).text.splitlines())
    assert {
        'secondlook_review_queue_depth{queue="default"} 1.0',
        'secondlook_review_queue_oldest_seconds{queue="default"} 60.0',
        'secondlook_review_queue_depth{queue="leads"} 0.0',
        "secondlook_review_claims_total 2.0",
        'secondlook_review_judgements_total{outcome="reject",result="decided"} 1.0',
        'secondlook_review_conflicts_total{code="lease_lost"} 1.0',
        'secondlook_review_published_total{result="decided"} 1.0',
        "secondlook_review_publish_lag_seconds_sum 50.0",
        "secondlook_review_policy_version 1.0",
    } <= lines


async def test_a_claim_carries_the_labels_and_the_time_it_is_due(world: World) -> None:
    await world.request(requested("a", queue="photos"))
    answer = (await world.call("POST", "/review/claims", {"queue": "photos"})).json()
    assert [label["name"] for label in answer["labels"]] == ["spam", "hate", "csam"]
    assert answer["policy_version"] == 1
    [task] = answer["tasks"]
    assert (task["created_at"], task["due_at"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z")
    assert task["content"]["text"] == "text of a"


async def test_policies_are_versioned_and_announced(world: World) -> None:
    changed = POLICY.replace("name: test", "name: second")
    first = await world.call("POST", "/policies", {"document": POLICY}, role="lead")
    assert first.json()["version"] == 1  # nothing new
    second = await world.call("POST", "/policies", {"document": changed}, role="lead")
    assert second.json()["version"] == 2
    assert (await world.call("GET", "/policies/active")).json() == second.json()
    listed = (await world.call("GET", "/policies")).json()["policies"]
    assert [(p["version"], p["name"]) for p in listed] == [(2, "second"), (1, "test")]
    assert listed[0]["published_by"] == (await world.caller("lead")).subject
    assert [event["version"] for event in await world.published("policy.published")] == [1, 2]
    assert (await world.published("policy.published"))[1]["policy"]["name"] == "second"
    back = await world.call("POST", "/policies", {"document": POLICY}, role="lead")
    assert back.json()["version"] == 3


@pytest.mark.parametrize(
    "document",
    ["", "a: [", "labels: {}", POLICY + "surprise: 1", "[" * 5000, POLICY.replace("name: test", 'name: "\\0"')],
)
async def test_a_policy_that_does_not_hold_together_changes_nothing(world: World, document: str) -> None:
    answer = await world.call("POST", "/policies", {"document": document}, role="lead")
    assert answer.status_code == 422, answer.text
    assert len(await world.published("policy.published")) == 1


async def test_a_policy_too_large_for_the_bus_is_refused(world: World) -> None:
    policy = parse_policy(POLICY)
    queues = {**policy.queues, **{f"q{n}": policy.queues["default"] for n in range(MAX_BYTES // 30)}}
    with pytest.raises(PolicyRejected, match="too large"):
        await world.api.policies.publish(policy.model_copy(update={"queues": queues}), "lead-0")


async def test_decisions_are_paged_newest_first(world: World) -> None:
    made = [decision(f"c{n}", seconds=n // 2) for n in range(7)]  # pairs share their second
    await log(world, *made, made[0])
    found, after = [], None
    while True:
        query = f"/decisions?limit=3{f'&after={after}' if after else ''}"
        page = (await world.call("GET", query, role="upstream")).json()
        found += page["decisions"]
        after = page["next"]
        if after is None:
            break
    expected = sorted(made, key=lambda d: (d.decided_at, d.decision_id), reverse=True)
    assert [d["decision_id"] for d in found] == [str(d.decision_id) for d in expected]


async def test_decisions_can_be_filtered(world: World) -> None:
    await log(world, decision("a"), decision("a", step=1, by="reviewer-1"), decision("b"))

    async def count(query: str) -> int:
        return len((await world.call("GET", f"/decisions?{query}", role="upstream")).json()["decisions"])

    found = [await count(q) for q in ("", "outcome=reject", "decided_by=model", "source=forum", "source=wiki")]
    assert found == [3, 1, 2, 3, 0]
    assert await count("outcome=reject&decided_by=model") == 0


async def test_content_shows_every_revision_and_decision(world: World) -> None:
    await world.request(requested("a/b", 3), cancelled("a/b", 3, "withdrawn"), requested("a/b", 4), requested("a/b", 2))
    await log(world, decision("a/b", 1, step=1), decision("a/b", 1))
    content = (await world.call("GET", "/content/forum/a/b", role="upstream")).json()
    assert {r["revision"]: r["state"] for r in content["revisions"]} == {
        1: "decided", 2: "superseded", 3: "withdrawn", 4: "in_review",
    }  # fmt: skip
    assert [d["sequence"] for d in content["decisions"]] == [1024, 1025]
    assert [(t["revision"], t["state"]) for t in content["tasks"]] == [
        (2, "superseded"), (3, "withdrawn"), (4, "pending"),
    ]  # fmt: skip
    [task] = await world.claim()
    await world.approve(task)
    await world.publish()
    content = (await world.call("GET", "/content/forum/a/b", role="upstream")).json()
    assert content["revisions"][-1] == {"revision": 4, "state": "decided"}
    assert (await world.call("GET", f"/content/forum/{uuid4()}")).status_code == 404
