"""Content in, one decision or one review request a revision out, and bad records aside."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from secondlook.common.bus import Message
from secondlook.common.bus.wire import encode
from secondlook.common.contract.events import ContentDecided, ContentSubmitted, ReviewCancelled, ReviewRequested
from secondlook.common.contract.policy import Thresholds
from secondlook.common.text.scope import Scope
from secondlook.router.routing import route
from tests.integration.router_world import POLICY, FakeModel, World, content, make_world, on_the_bus, withdrawal

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY: dict[str, Any] = {
    "source": "forum", "content_id": "bad", "revision": 1, "text": "x", "created_at": "2025-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        yield world


def raw(body: Any, key: str = "forum/bad", **headers: str) -> Message:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message(ContentSubmitted.topic, key, value, {"ce_type": "ContentSubmitted", **headers})


async def test_each_revision_gets_its_decision_or_its_review(world: World) -> None:
    texts = {"ok": "fine", "bad": "sure spam", "grey": "unsure", "broken": "nan"}
    await world.send(*(content(name, text=text) for name, text in texts.items()), trace=TRACE)
    await world.route()
    decided = {event.content_id: event for event in await world.events(ContentDecided)}
    asked = {event.content_id: event for event in await world.events(ReviewRequested)}
    assert {name: event.outcome for name, event in decided.items()} == {"ok": "approve", "bad": "reject"}
    assert (decided["bad"].labels, decided["bad"].action, decided["bad"].bundle_version) == (("spam",), "remove", "b1")
    assert {name: event.why for name, event in asked.items()} == {"grey": "uncertain", "broken": "no_bundle"}
    assert asked["grey"].scores == {"spam": 0.5}
    assert asked["grey"].embedding == "ADwAPAA8ADw="  # four float16 ones
    assert asked["broken"].scores is None
    records = [*await world.records("moderation.decided"), *await world.records("review.requested")]
    assert {record.headers["traceparent"] for record in records} == {TRACE}
    assert await world.dead_letters() == []


async def test_repeats_and_redelivery_publish_nothing_more(world: World) -> None:
    events = [content(f"c{number % 10}", number // 10 % 3 + 1, text=str(number % 30)) for number in range(90)]
    await world.route(*events, batch=7)
    await world.route(*events, batch=50)
    assert set((await world.outcomes()).values()) == {1}
    assert len(await world.outcomes()) == 30
    assert await world.dead_letters() == []
    assert world.counted("duplicates_total") == 150


async def test_an_audit_publishes_the_decision_and_the_request(world: World) -> None:
    await world.state.on_policy(world.record_of(world.policy(POLICY.replace("certify: 0", "certify: 1"), version=2)))
    await world.route(content("a", text="sure"))
    (decided,) = await world.events(ContentDecided)
    (asked,) = await world.events(ReviewRequested)
    assert (asked.why, asked.prior.decision_id, asked.prior.outcome) == ("audit", decided.decision_id, "reject")
    assert (asked.coin.inclusion_probability, asked.coin.stratum) == (1, "uniform")


BAD: list[tuple[str, Message, str, str]] = [
    ("not JSON", raw(b"{"), "malformed", "Invalid JSON"),
    ("invalid UTF-8", raw(b'{"text": "\xff"}'), "malformed", "Invalid JSON"),
    ("binary", raw(bytes(range(256))), "malformed", "Invalid JSON"),
    ("empty", raw(b""), "malformed", "Invalid JSON"),
    ("unknown field", raw({**BODY, "colour": 1}), "invalid", "colour: Extra inputs"),
    ("NUL", raw({**BODY, "text": "a\x00b"}), "invalid", "text: contains a NUL"),
    ("too long", raw({**BODY, "text": "x" * 200_001}), "invalid", "text: "),
    ("future", raw({**BODY, "created_at": "2999-01-01T00:00:00Z"}), "invalid", "created_at: lies "),
    ("no year", raw({**BODY, "created_at": "0001-01-01T00:00:00+14:00"}), "invalid", "created_at: lies before"),
    ("4 MB", raw({**BODY, "context": {"parent_text": "x" * 4_000_000}}), "too_large", "bytes long"),
    ("wrong key", raw({**BODY, "content_id": "other"}), "wrong_key", "'forum/other'"),
    ("unknown type", raw(BODY, ce_type="ContentEaten"), "unknown_type", "ce_type: is none of"),
    ("other topic's type", raw(BODY, ce_type="ContentDecided"), "unknown_type", "ce_type: is none of"),
    (
        "withdrawn before there were years",
        raw(
            {"source": "forum", "content_id": "bad", "withdrawn_at": "0001-01-01T00:00:00+14:00"},
            ce_type="ContentWithdrawn",
        ),
        "invalid",
        "withdrawn_at: lies before",
    ),
]


@pytest.mark.parametrize(("bad", "reason", "detail"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_a_bad_record_is_set_aside_with_the_reason_and_its_partition_goes_on(
    world: World, bad: Message, reason: str, detail: str
) -> None:
    await world.forward(
        encode(content("bad", 8, text="before"), "test", world.clock),
        bad,
        encode(content("bad", 9, text="after"), "test", world.clock),
    )
    await world.route()
    ((kept_reason, kept_detail),) = await world.dead_letters()
    assert kept_reason == reason
    assert detail in kept_detail
    assert (world.observed.records, world.observed.dead_letters) == (3, 1)
    (record,) = await world.records("content.submitted.dead-letter")
    assert (record.key, record.value) == (bad.key, on_the_bus(bad.value))
    assert not record.value or set(bad.headers.items()) <= set(record.headers.items())
    assert await world.outcomes() == {("forum/bad", 8): 1, ("forum/bad", 9): 1}


async def test_a_reused_revision_is_set_aside_and_the_first_decision_stands(world: World) -> None:
    await world.route(content("a", text="fine"), content("a", text="sure spam"))
    await world.route(content("a", text="yet another"), content("a", 2))
    assert [reason for reason, _ in await world.dead_letters()] == ["revision_reused", "revision_reused"]
    assert world.observed.dead_letters == 2
    decided = await world.events(ContentDecided)
    assert [(event.revision, event.outcome) for event in decided] == [(1, "approve"), (2, "approve")]


async def test_a_little_ahead_is_not_the_future(world: World) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=30)
    await world.route(content("a", created_at=ahead), content("b", created_at=ahead + timedelta(seconds=60)))
    assert await world.outcomes() == {("forum/a", 1): 1}


async def test_withdrawals_close_reviews_and_a_new_revision_opens_them(world: World) -> None:
    await world.route(content("a", text="unsure"), withdrawal("a"), withdrawal("a"), withdrawal("never-seen"))
    (cancelled,) = await world.events(ReviewCancelled)
    assert (cancelled.up_to_revision, cancelled.why) == (1, "withdrawn")
    assert await world.database.pool.fetchval("SELECT withdrawn_at FROM content") == datetime(2025, 2, 1, tzinfo=UTC)
    later = datetime(2025, 3, 1, tzinfo=UTC)
    await world.route(content("a", text="unsure"), content("a", 2, text="unsure again", created_at=later))
    assert [event.revision for event in await world.events(ReviewRequested)] == [1, 2]
    # A repeat of the first withdrawal, as a relay may send it, must not close what came after it.
    await world.route(withdrawal("a"))
    assert len(await world.events(ReviewCancelled)) == 1
    # A revision that the withdrawal overtook is never asked about, nor decided.
    await world.route(content("b", 2), withdrawal("b"), content("b", 3, text="unsure"), content("c", 3))
    assert [event.revision for event in await world.events(ReviewRequested)] == [1, 2]
    query = "SELECT revision, route FROM revision WHERE content_id = 'b' ORDER BY revision"
    assert [tuple(row) for row in await world.database.pool.fetch(query)] == [(2, "approve"), (3, "withdrawn")]


async def test_the_review_of_a_lower_revision_is_cancelled_once_a_higher_one_is_sure(world: World) -> None:
    await world.route(content("a", text="unsure"), content("a", 3), content("a", 2, text="unsure late"))
    seen = await world.events(ReviewRequested, ReviewCancelled)
    assert [type(event) for event in seen] == [ReviewRequested, ReviewCancelled]
    assert (seen[1].up_to_revision, seen[1].why) == (2, "superseded")
    assert await world.outcomes() == {("forum/a", 1): 1, ("forum/a", 3): 1}
    routes = await world.database.pool.fetch("SELECT revision, route FROM revision ORDER BY revision")
    assert [tuple(row) for row in routes] == [(1, "review"), (2, "superseded"), (3, "approve")]


async def test_every_character_that_people_write_arrives_unchanged(world: World) -> None:
    texts = ["zero\u200bwidth \u202ertl\u202c", "👩‍👩‍👧‍👦 🏳️‍🌈", "a\nb\r\n\tc", "😀" * 20_000, "\ufffd\U0010ffff \x7f"]
    await world.route(*(content(f"c{number}", text=f"unsure {text}"[:20_000]) for number, text in enumerate(texts)))
    asked = {event.content_id: event.content.text for event in await world.events(ReviewRequested)}
    assert asked == {f"c{number}": f"unsure {text}"[:20_000] for number, text in enumerate(texts)}


@pytest.mark.parametrize(("scope", "detail", "outcome", "reason"), [
    (Scope.FITS, "", "approve", None), (Scope.BLANK, "", None, "blank after cleaning"),
    (Scope.MIXED_SCRIPTS, "", None, "letters of several scripts in one word"),
    (Scope.LANGUAGE, "tr", None, "language not seen in training: tr"),
    (Scope.LONG, "", None, "longer than the model reads"),
])  # fmt: skip
async def test_what_the_model_was_not_made_for_is_reviewed_and_counted(
    world: World, scope: Scope, detail: str, outcome: str | None, reason: str | None
) -> None:
    class Aware(FakeModel):
        def classify(self, texts: Any, signals: Any = ()) -> Any:
            found = super().classify(texts)
            return replace(found, scopes=np.full(len(texts), scope, np.uint8), details=(detail,) * len(texts))

    await world.in_force(None, Aware("b2"))
    await world.route(content("a", text="fine"))
    decided, asked = await world.events(ContentDecided), await world.events(ReviewRequested)
    assert [event.outcome for event in decided] == ([] if outcome is None else [outcome])
    assert [event.why for event in asked] == ([] if outcome else ["uncertain"])
    name = scope.name.lower()
    assert world.counted("out_of_scope_total", reason=name) == (0 if outcome else 1)
    policy = world.policy(POLICY).policy
    routing = route(content("a"), {"spam": 0.1}, FakeModel().thresholds, policy, u=0.5, scope=scope, detail=detail)
    assert reason is None or routing.reason == reason


async def test_the_longest_text_there_is_is_taken_and_reviewed(world: World) -> None:
    await world.route(content("a", text="😀" * 200_000), content("b", text="\u0436" * 200_000))
    asked = {event.content_id: event.content.text for event in await world.events(ReviewRequested)}
    assert asked == {"a": "😀" * 200_000, "b": "\u0436" * 200_000}
    assert await world.dead_letters() == []


async def test_text_that_the_bundle_fails_on_goes_to_review_and_its_neighbours_do_not(world: World) -> None:
    await world.route(*(content(f"c{number}", text="poison" if number == 5 else "fine") for number in range(12)))
    (asked,) = await world.events(ReviewRequested)
    assert (asked.content_id, asked.why, asked.scores, asked.embedding) == ("c5", "no_bundle", None, None)
    assert len(await world.events(ContentDecided)) == 11
    assert world.counted("unclassified_total") == 1
    assert await world.dead_letters() == []


async def test_a_bundle_that_gives_the_wrong_shape_decides_nothing(world: World) -> None:
    class Short(FakeModel):
        def classify(self, texts: Any, signals: Any = ()) -> Any:
            return super().classify([*texts, "one more"])

    await world.in_force(None, Short("b2", thresholds=Thresholds(approve=1)))
    await world.route(*(content(f"c{number}") for number in range(5)))
    assert {event.why for event in await world.events(ReviewRequested)} == {"no_bundle"}
    assert len(await world.outcomes()) == 5
    assert await world.events(ContentDecided) == []
