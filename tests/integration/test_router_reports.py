"""Users' reports through a real router and its database: what they reopen, what they raise, and what they are worth."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secondlook.common.contract.events import (
    ContentDecided,
    ReviewCancelled,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.reports import ContentReported, ReviewReported
from secondlook.common.service.stream import Stream
from secondlook.router.reports.handler import GROUP, OutcomeHandler
from secondlook.router.reports.tending import Tended, Tending
from secondlook.router.repository import content_items
from tests.integration.router_world import FakeModel, Observed, World, content, make_world, stop, withdrawal
from tests.waiting import until

RULE = "reports: {reopen_after: 3, within: 24h, labels: {threat: 1}}"
POLICY = (
    "{name: test, labels: {spam: {description: advertising}, threat: {description: of harm, severity: 5}}, "
    "audit: {certify: 0, most: 0}, %s}"
)
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(POLICY % RULE, FakeModel(labels=("spam", "threat")))
        yield world


def report(content_id: str, reporter: str, at: datetime = NOON, **more: Any) -> ContentReported:
    fields = {"report_id": f"{content_id}.{reporter}", "reason": "spam", **more}
    return ContentReported(source="forum", content_id=content_id, reporter=reporter, reported_at=at, **fields)


def crowd(content_id: str, size: int = 3, **more: Any) -> list[ContentReported]:
    return [report(content_id, f"u{number}", **more) for number in range(size)]


def judged(
    content_id: str, outcome: Outcome, at: datetime = NOON + timedelta(hours=1), number: int = 1
) -> ContentDecided:
    """A person's decision on revision 1."""
    sequence = first_sequence(1) + number
    return ContentDecided(
        source="forum", content_id=content_id, revision=1, sequence=sequence, outcome=outcome,
        labels=("spam",) if outcome == "reject" else (), action="remove", decided_by="reviewer-1", decided_at=at,
        decision_id=decision_id("forum", content_id, 1, sequence), confidence=None, policy_version=1,
        bundle_version=None, reason="reviewed: reported",
    )  # fmt: skip


async def learn(world: World, *decisions: ContentDecided) -> None:
    """Let the router read what people decided."""
    observed, consumer = Observed(), world.bus.consumer(GROUP, [ContentDecided.topic])
    await world.send(*decisions)
    stream: Stream[Any, Any] = Stream(GROUP, consumer, world.transactions, OutcomeHandler(), observed)
    task = asyncio.create_task(stream.run())
    expected = await world.database.pool.fetchval(UNREAD, GROUP)
    try:
        await until(lambda: observed.records >= expected or task.done())
        if task.done():
            task.result()
    finally:
        await stop(task)


UNREAD = """
SELECT coalesce(sum(p.next_offset - coalesce(c.next_offset, p.floor)), 0)::int FROM bus.partition p
LEFT JOIN consumer_position c ON (c.consumer_group, c.topic, c.partition) = ($1, p.topic, p.partition)
WHERE p.topic = 'moderation.decided'
"""


async def tend(world: World, most: int = 1000) -> Tended:
    return await Tending(world.transactions, lambda: world.state.in_force().policy, most).step()


async def reopened(world: World) -> list[str]:
    return [event.content_id for event in await world.events(ReviewRequested) if event.why is Why.REPORTED]


async def table(world: World, name: str) -> int:
    return int(await world.database.pool.fetchval(f"SELECT count(*) FROM {name}"))  # noqa: S608 - constants


async def test_enough_reports_send_an_approval_to_a_person(world: World) -> None:
    await world.route(content("a", author_id="ann"), *crowd("a", 2))
    assert await reopened(world) == []
    await world.route(report("a", "u2"), report("a", "u3"))
    (request,) = await world.events(ReviewRequested)
    assert (request.why, request.review_id) == (Why.REPORTED, review_id("forum", "a", 1, Why.REPORTED))
    assert (request.prior.outcome, request.prior.sequence) == ("approve", first_sequence(1))
    assert (request.coin.stratum, request.coin.approve, request.content.text) == ("reported", None, "text of a")
    assert len(await world.events(ReviewReported)) == 4
    assert b'"reporter"' not in b"".join(record.value for record in await world.records("review.requested"))
    assert (world.counted("reports_total", result="kept"), world.counted("reopened_total", reporters="unproven")) == (
        4,
        1,
    )


async def test_reports_may_come_first_and_repeat(world: World) -> None:
    await world.route(*crowd("a"), *crowd("a"))
    assert await world.events(ReviewRequested) == []
    await world.route(content("a"))
    assert (len(await world.events(ContentDecided)), await reopened(world)) == (1, ["a"])
    assert world.counted("reports_total", result="repeated") == 3
    assert await world.dead_letters() == []


async def test_without_the_section_nothing_is_reopened_and_no_text_is_kept(world: World) -> None:
    await world.in_force(None)
    await world.state.on_policy(world.record_of(world.policy(POLICY.replace(", %s", ""), version=2)))
    await world.route(content("a"), *crowd("a", 9))
    assert await reopened(world) == []
    assert await table(world, "approved_content") == 0
    assert len(await world.events(ReviewReported)) == 9, "reviewers hear of them"


async def test_what_waits_for_review_comes_up_earlier_the_more_weight_reports_have(world: World) -> None:
    await world.route(content("a", text="unsure"))
    (request,) = await world.events(ReviewRequested)
    await world.route(*crowd("a", 4), report("a", "u0", report_id="once-more"))
    raised = [event.raised for event in await world.events(ReviewReported)]
    places = [each.priority for each in raised if each is not None]
    assert (len(places), {each.review_id for each in raised if each}) == (4, {request.review_id})
    assert request.priority < places[0] < places[1] < places[2] < places[3]
    await world.route(content("b", text="unsure b", reports=4))
    assert await places_of(world, "b") == [places[3]]
    await world.route(*crowd("c", 4))
    await world.route(content("c", text="unsure c"))
    assert await places_of(world, "c") == [places[3]]


async def places_of(world: World, name: str) -> list[int]:
    return [event.priority for event in await world.events(ReviewRequested) if event.content_id == name]


async def test_edits_and_withdrawals_close_what_reports_opened(world: World) -> None:
    await world.route(content("a"), *crowd("a"), withdrawal("a"), content("b"), *crowd("b"), content("b", 2, "sure"))
    cancelled = {event.content_id: event.why for event in await world.events(ReviewCancelled)}
    assert cancelled == {"a": "withdrawn", "b": "superseded"}
    assert await table(world, "approved_content") == 0, "their texts are gone"
    await world.route(content("c"), *crowd("c"), content("c", 2, "still fine"))
    assert [event.revision for event in await world.events(ReviewRequested) if event.content_id == "c"] == [1, 2]


async def test_a_person_who_approved_it_is_not_asked_again_until_it_changes(world: World) -> None:
    await world.route(content("a"), *crowd("a"))
    await learn(world, judged("a", "approve"))
    late = NOON + timedelta(hours=2)
    await world.route(*[report("a", f"late{n}", late) for n in range(20)])
    assert await reopened(world) == ["a"]
    await world.route(content("a", 2, "changed"))
    assert await reopened(world) == ["a", "a"], "nobody has judged the edit"
    assert await table(world, "approved_content") == 1


async def test_reporters_whose_reports_were_refused_weigh_less_and_those_upheld_more(world: World) -> None:
    for number in range(4):
        await world.route(content(f"fine{number}"), *crowd(f"fine{number}"))
        await learn(world, judged(f"fine{number}", "approve"))
    await world.route(content("a"), *crowd("a"))
    assert "a" not in await reopened(world), "they have cried wolf too often"
    for number in range(2):
        more = [report(f"bad{number}", f"good{n}") for n in range(3)]
        await world.route(content(f"bad{number}"), *more)
        await learn(world, judged(f"bad{number}", "reject"))
    await world.route(content("b"), report("b", "good0"), report("b", "good1"))
    assert "b" in await reopened(world), "two whose word was good"
    rows = await world.database.pool.fetch("SELECT reporter, upheld, refused FROM reporter ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        ("good0", 2, 0), ("good1", 2, 0), ("good2", 2, 0), ("u0", 0, 4), ("u1", 0, 4), ("u2", 0, 4),
    ]  # fmt: skip


async def test_decisions_count_once_and_a_correction_moves_the_count(world: World) -> None:
    await world.route(content("a"), *crowd("a", 1), report("a", "u0", report_id="again"))
    await learn(world, judged("a", "approve"), judged("a", "approve"))
    assert [tuple(row) for row in await records(world)] == [("u0", 0, 1)]
    await learn(world, judged("a", "reject", number=2))
    assert [tuple(row) for row in await records(world)] == [("u0", 1, 0)]
    await learn(world, judged("a", "approve", number=1))
    assert [tuple(row) for row in await records(world)] == [("u0", 1, 0)], "an old one that comes again"


async def records(world: World) -> Any:
    return await world.database.pool.fetch("SELECT reporter, upheld, refused FROM reporter ORDER BY 1")


async def test_unproven_reporters_get_so_many_items_reviewed_and_the_rest_waits(world: World) -> None:
    few = RULE.replace("within", "unproven: 2, within")
    await world.state.on_policy(world.record_of(world.policy(POLICY % few, version=2)))
    for name in "abcd":
        await world.route(content(name), *crowd(name, 50))
    assert sorted(await reopened(world)) == ["a", "b"]
    assert (await tend(world)).waiting == 2
    await learn(world, judged("a", "reject"))  # they were right about it
    assert (await tend(world)).woken == 1
    await world.route()
    assert sorted(await reopened(world)) == ["a", "b", "c"]
    await learn(world, judged("b", "approve"))
    assert (await tend(world)).woken == 0, "what was refused goes on counting"


async def test_a_label_that_must_not_wait_needs_one_report(world: World) -> None:
    await world.route(content("a"), report("a", "u1", reason="threat"))
    assert await reopened(world) == ["a"]


async def test_bad_reports_change_nothing_and_are_named(world: World) -> None:
    soon = world.clock.now() + timedelta(days=1)
    await world.route(
        content("a", author_id="u0"),
        report("a", "u9", report_id="r1"),
        report("a", "u9", report_id="r1", reason="other words"),
        report("b", "u9", report_id="r1"),
        report("a", "u8", at=soon),
        *crowd("a", 2),  # u0 is the author
    )
    assert sorted(reason for reason, _ in await world.dead_letters()) == ["invalid", "report_reused", "report_reused"]
    assert await reopened(world) == [], "two reporters and the author"


async def test_a_flood_of_reports_of_one_item_is_bounded_and_hides_no_good_ones(world: World) -> None:
    """A thousand light ones cannot push out those of reporters with a record, however they are ordered."""
    await world.database.pool.execute(
        "INSERT INTO reporter SELECT 'forum', 'good' || n, 9, 0, now() FROM generate_series(1, 2) n "
        "UNION ALL SELECT 'forum', 'bad' || n, 0, 9, now() FROM generate_series(1, 3000) n"
    )
    await world.route(content("a"), *[report("a", f"bad{n}") for n in range(1, 1501)], batch=256)
    await world.route(report("a", "good1"), *[report("a", f"bad{n}") for n in range(1501, 3001)], batch=256)
    assert await table(world, "report") == 1000
    assert world.counted("reports_total", result="dropped") >= 1900
    await world.route(report("a", "good2"))
    assert await reopened(world) == ["a"]


async def test_tending_keeps_the_tables_small(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.route(*[content(name) for name in "abc"], *crowd("x", 3), *crowd("y", 2))
    monkeypatch.setattr("secondlook.router.reports.tending.MOST_UNKNOWN", 2)
    done = await tend(world, most=2)
    assert (done.dropped, done.unknown, done.approved) == (1, 3, 2)
    assert await table(world, "report") == 2
    assert await table(world, "content") == 4, "nothing is left of the other one"
    await world.database.pool.execute("UPDATE approved_content SET approved_at = now() - interval '8 days'")
    await world.database.pool.execute("UPDATE report SET received_at = now() - interval '91 days'")
    done = await tend(world)
    assert (done.old, done.approved) == (2, 0)
    await world.route(*crowd("a", 9))
    assert await reopened(world) == [], "too late: the text is gone"


async def test_reports_are_no_items_by_whose_number_less_is_audited(world: World) -> None:
    await world.route(content("a"), content("b"), withdrawal("b"))
    assert await content_items(world.database.pool) == 3
    await world.route(*crowd("a", 40), *crowd("never-comes", 20))
    assert await content_items(world.database.pool) == 3
