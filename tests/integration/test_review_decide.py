"""Claim, judge, undo, publish: what one reviewer sees, over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from secondlook.common.contract.events import Why, decision_id, first_sequence, label_id, review_id
from tests.integration.review_world import GRACE, LEASE, POLICY, START, World, code_of, prior, requested


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def test_a_rejection_is_published_once_its_grace_is_over(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    await world.reject(task, "spam", "hate")

    assert await world.api.publisher.publish_due() == 0
    assert await world.publish() == 1
    assert await world.api.publisher.publish_due() == 0

    reviewer = (await world.caller("reviewer")).subject
    [decision] = await world.published("moderation.decided")
    assert UUID(decision["decision_id"]) == decision_id("forum", "a", 1, first_sequence(1))
    assert (decision["outcome"], decision["labels"], decision["action"]) == ("reject", ["hate", "spam"], "remove")
    assert (decision["decided_by"], decision["reason"]) == (reviewer, "reviewed: uncertain")
    assert (decision["supersedes"], decision["policy_version"], decision["bundle_version"]) == (None, 1, "b1")
    [label] = await world.published("review.labelled")
    assert UUID(label["label_id"]) == label_id(review_id("forum", "a", 1, Why.UNCERTAIN), reviewer)
    assert label["labels"] == {"spam": True, "hate": True, "csam": False}
    assert (label["adjudicated"], label["inclusion_probability"], label["stratum"]) == (True, 0.5, "certify")
    assert (label["scores"], label["text"], label["decision_id"]) == (
        {"spam": 0.5, "hate": 0.1}, "text of a", decision["decision_id"],
    )  # fmt: skip


async def test_a_point_of_priority_goes_a_minute_ahead(world: World) -> None:
    late = START + timedelta(seconds=100)
    await world.request(
        requested("late", at=late), requested("early"), requested("urgent", priority=2, at=late),
        requested("less", priority=1, at=late),
    )  # fmt: skip
    order = ["urgent", "early", "less", "late"]
    assert [task["content"]["content_id"] for task in await world.claim(4)] == order
    assert await world.claim(4, name="other") == []


async def test_nothing_waits_forever_behind_what_is_more_urgent(world: World) -> None:
    """As many urgent items come in as one reviewer judges: a calm one has its turn when it has waited as long as they
    go ahead."""
    await world.request(requested("calm"))
    for minute in range(100):
        await world.request(requested(f"urgent-{minute}", priority=60, at=world.clock.now()))
        [task] = await world.claim(queue="default")
        await world.approve(task)
        if task["content"]["content_id"] == "calm":
            break
        world.clock.turn(60)
    assert minute in (60, 61)  # after an hour they are equal


async def test_the_calendar_does_not_end_before_a_priority_does(world: World) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
    await world.request(
        requested("last", priority=-(2**31), at=last), requested("first", priority=2**31 - 1, at=first), requested("b")
    )
    assert [task["content"]["content_id"] for task in await world.claim(3)] == ["first", "b", "last"]


async def test_repeating_a_verdict_gets_the_same_answer_and_changes_nothing(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    first = await world.reject(task, "spam")
    world.clock.turn(3)
    assert await world.reject(task, "spam") == first
    await world.publish()
    assert await world.reject(task, "spam") == first
    await world.publish()
    assert len(await world.published("moderation.decided")) == 1
    answer = await world.act(task, "decision", outcome="approve", labels=[])
    assert code_of(answer) == "409 already_decided"


async def test_undo_returns_the_item_and_a_new_verdict_replaces_the_old(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    said = await world.reject(task, "spam")
    undone = await world.call("POST", f"/decisions/{said['decision_id']}/undo")
    assert undone.json() == {"task_id": task["task_id"], "state": "pending", "queue": "default"}
    assert await world.publish() == 0
    answer = await world.act(task, "decision", outcome="reject", labels=["spam"])
    assert code_of(answer) == "409 lease_lost"  # the lease ended with the verdict

    [again] = await world.claim()
    await world.approve(again)
    await world.publish()
    [decision] = await world.published("moderation.decided")
    assert decision["outcome"] == "approve"
    assert len(await world.published("review.labelled")) == 1
    kept = await world.database.pool.fetch("SELECT outcome, undone_at IS NOT NULL AS undone FROM judgement")
    assert {(row["outcome"], row["undone"]) for row in kept} == {("reject", True), ("approve", False)}


async def test_undo_is_for_its_reviewer_and_for_leads_until_the_grace_is_over(world: World) -> None:
    await world.request(requested("a"), requested("b"))
    a, b = await world.claim(2)
    path = f"/decisions/{(await world.approve(a))['decision_id']}/undo"
    other = f"/decisions/{(await world.approve(b))['decision_id']}/undo"
    assert (await world.call("POST", path, name="other")).status_code == 403
    assert (await world.call("POST", path, role="lead")).status_code == 200
    assert code_of(await world.call("POST", path)) == "409 not_decided"

    world.clock.turn(GRACE)
    assert code_of(await world.call("POST", other)) == "409 already_published"  # due, if not published yet
    await world.publish()
    assert code_of(await world.call("POST", other)) == "409 already_published"
    assert (await world.call("POST", f"/decisions/{uuid4()}/undo")).status_code == 404


async def test_a_lease_that_ran_out_is_given_out_again_and_its_holder_is_told(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    world.clock.turn(LEASE - 1)
    assert await world.claim(name="other") == []
    world.clock.turn(1)
    [taken] = await world.claim(name="other")
    for what in ("heartbeat", "release", "skip", "escalate"):
        assert code_of(await world.act(task, what)) == "409 lease_lost"
    assert (await world.approve(task, status=409))["code"] == "lease_lost"
    await world.reject(taken, "spam", name="other")
    for what in ("heartbeat", "release", "skip", "escalate"):
        assert code_of(await world.act(task, what)) == "409 already_decided"
    assert (await world.approve(task, status=409))["code"] == "already_decided"


async def test_a_lease_that_ran_out_and_that_nobody_took_still_counts(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    world.clock.turn(10 * LEASE)
    answer = await world.act(task, "heartbeat")
    assert answer.status_code == 200
    assert await world.claim(name="other") == []
    world.clock.turn(10 * LEASE)
    await world.approve(task)


async def test_another_reviewer_cannot_use_a_token(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    assert (await world.approve(task, name="other", status=409))["code"] == "lease_lost"
    assert (await world.approve({**task, "lease_token": str(uuid4())}, status=409))["code"] == "lease_lost"
    assert (await world.approve({**task, "task_id": str(uuid4())}, status=404))["title"] == "NotFound"


async def test_a_released_item_comes_back_and_a_skipped_one_does_not(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    assert (await world.act(task, "release")).json()["state"] == "pending"
    assert code_of(await world.act(task, "release")) == "409 lease_lost"
    [task] = await world.claim()
    assert (await world.act(task, "skip")).status_code == 200
    assert await world.claim() == []
    assert len(await world.claim(name="other")) == 1


async def test_an_escalated_item_is_for_leads(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    assert (await world.act(task, "escalate", note="is this satire?")).json()["queue"] == "leads"
    assert await world.claim() == []
    refused = await world.call("POST", "/review/claims", {"queue": "leads"})
    assert refused.status_code == 403
    [taken] = await world.claim(role="lead", queue="leads")
    assert taken["escalation_note"] == "is this satire?"
    await world.reject(taken, "csam", role="lead")  # one lead settles what takes two reviewers
    await world.publish()
    assert [decision["labels"] for decision in await world.published("moderation.decided")] == [["csam"]]


async def test_an_escalated_item_stays_with_the_leads_when_the_policy_changes(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    await world.act(task, "escalate")
    opened = POLICY.replace("240, role: lead", "240").replace("queues:", "escalation_queue: chiefs\nqueues:")
    document = {"document": opened + "  chiefs: {role: lead}"}
    assert (await world.call("POST", "/policies", document, role="lead")).status_code == 200
    assert await world.claim(name="other") == []
    assert await world.claim(name="other", queue="leads") == []
    assert len(await world.claim(role="lead", queue="leads")) == 1


async def test_events_carry_the_trace_of_the_request(world: World) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await world.request(requested("a"), headers={"traceparent": trace})
    [task] = await world.claim()
    await world.approve(task)
    await world.publish()
    topics = ["moderation.decided", "review.labelled"]
    rows = await world.database.pool.fetch(
        "SELECT headers->>'traceparent' AS trace FROM bus.record WHERE topic = ANY ($1)", topics
    )
    assert [row["trace"] for row in rows] == [trace, trace]


async def test_without_a_policy_items_can_be_claimed_but_not_judged(database_url: str) -> None:
    async with World.open(database_url, policy=None) as world:
        await world.request(requested("a"))
        [task] = await world.claim()
        assert (await world.approve(task, status=409))["code"] == "no_policy"
        assert code_of(await world.act(task, "escalate")) == "409 no_policy"
        assert (await world.call("GET", "/policies/active")).status_code == 404


@pytest.mark.parametrize("why", [Why.UNCERTAIN, Why.AUDIT, Why.GOLD])
async def test_audits_and_gold_items_look_like_any_other(world: World, why: Why) -> None:
    await world.request(requested("a", why=why, prior=prior("a", "approve") if why is Why.AUDIT else None))
    [task] = await world.claim()
    assert task["why"] == "review"
    assert task["scores"] is None
    assert "prior" not in str(task)
