"""What the HTTP API answers 202 is decided; what would not be decided is refused, and the caller is told what to do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ContentWithdrawn,
    ReviewCancelled,
    ReviewRequested,
)
from secondlook.router.api import BATCH_PATH
from tests.integration.router_world import AHEAD, POLICY, FakeModel, content, withdrawal
from tests.integration.test_router_api import BODY, Api, api, problem

__all__ = ["api"]

ROUTES = "SELECT revision, route FROM router.revision ORDER BY revision"


def body(revision: int = 1, text: str = "fine", **more: Any) -> dict[str, Any]:
    return {**BODY, "content_id": "a", "revision": revision, "text": text, **more}


async def said(api: Api, *bodies: dict[str, Any]) -> list[str]:
    """Post one after the other: `202`, or status and code."""
    answers = [await api.post(each) for each in bodies]
    return [str(a.status_code) if a.status_code == 202 else f"{a.status_code} {a.json()['code']}" for a in answers]


async def said_of_lines(api: Api, *bodies: dict[str, Any]) -> list[str]:
    """The same, as the lines of one batch."""
    answer = (await api.post("\n".join(map(json.dumps, bodies)).encode(), BATCH_PATH)).json()
    codes = {refused["line"]: f"409 {refused['code']}" for refused in answer["refused"]}
    assert answer["accepted"] == len(bodies) - len(codes)
    return [codes.get(number, "202") for number in range(1, len(bodies) + 1)]


CASES: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("a repeat", [body(), body(), body(language="en", attributes={"a": 1})], ["202", "202", "202"]),
    ("defaults left out or not", [body(), body(kind="text", context={}, author_id=None)], ["202", "202"]),
    ("other text", [body(), body(text="sure")], ["202", "409 revision_reused"]),
    ("other kind", [body(), body(kind="name")], ["202", "409 revision_reused"]),
    ("other author", [body(author_id="ann"), body(author_id="ben")], ["202", "409 revision_reused"]),
    ("an author, and none", [body(author_id="ann"), body()], ["202", "409 revision_reused"]),
    ("other title", [body(context={"title": "x"}), body(context={"url": "x"})], ["202", "409 revision_reused"]),
    ("a higher revision", [body(), body(2, "sure"), body(3)], ["202", "202", "202"]),
    ("a lower one that is new", [body(2), body(1)], ["202", "409 superseded"]),
    ("a lower one that was accepted", [body(1), body(2), body(1)], ["202", "202", "202"]),
    ("the first of two stands", [body(text="unsure"), body(text="sure"), body(text="unsure")],
     ["202", "409 revision_reused", "202"]),
]  # fmt: skip


@pytest.mark.parametrize("routed", [False, True], ids=["not yet routed", "routed"])
@pytest.mark.parametrize(("bodies", "answers"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_a_revision_is_accepted_or_refused_by_its_code(
    api: Api, bodies: list[dict[str, Any]], answers: list[str], routed: bool
) -> None:
    await api.world.in_force(model=FakeModel())
    found = []
    for each in bodies:
        found += await said(api, each)
        if routed:
            await api.world.route()
    assert found == answers
    assert await api.stored() == found.count("202")
    await api.world.route()
    assert await api.world.dead_letters() == []


@pytest.mark.parametrize(("bodies", "answers"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_lines_of_a_batch_are_answered_like_single_requests(
    api: Api, bodies: list[dict[str, Any]], answers: list[str]
) -> None:
    assert await said_of_lines(api, *bodies) == answers
    assert await api.stored() == answers.count("202")
    assert api.world.counted("ingest_accepted_total") == answers.count("202")


async def test_a_refusal_names_the_item_and_what_to_do(api: Api) -> None:
    await said(api, body(2))
    for other, told in [
        (body(2, "sure"), "revision 2 of forum/a is known with other content; send a higher revision"),
        (body(1), "revision 2 of forum/a is known, so revision 1 is not decided"),
    ]:
        refused = problem(await api.post(other), 409)
        assert refused["errors"] == [{"field": "revision", "problem": told}]
    await api.client.delete("/v1/content/forum/a")
    refused = problem(await api.post(body(2)), 409)
    assert refused["code"] == "withdrawn"
    assert "forum/a was withdrawn as of 20" in refused["detail"]
    assert "send a higher revision with a later created_at" in refused["detail"]
    assert api.world.counted("ingest_refused_total", reason="withdrawn") == 1


@pytest.mark.parametrize("routed", [False, True], ids=["not yet routed", "routed"])
async def test_withdrawn_content_that_comes_again_is_refused_until_it_is_newer(api: Api, routed: bool) -> None:
    await api.world.in_force(model=FakeModel())
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    await said(api, body(text="unsure"))
    if routed:
        await api.world.route()
    known = (await api.client.delete("/v1/content/forum/a")).json()
    assert (known["known"], known["detail"]) == (True, "withdrawn")
    if routed:
        await api.world.route()
    again = [body(text="unsure"), body(text="unsure", created_at=soon), body(2), body(2, created_at=soon), body(3)]
    answers = ["409 withdrawn", "409 withdrawn", "409 withdrawn", "202", "409 withdrawn"]
    assert await said(api, *again) == answers
    await api.world.route()
    assert [(e.revision, e.outcome) for e in await api.world.events(ContentDecided)] == [(2, "approve")]
    assert await api.world.dead_letters() == []


async def test_a_withdrawal_of_what_is_unknown_is_remembered_and_says_so(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    answer = await api.client.delete("/v1/content/forum/a")
    assert answer.status_code == 202
    assert answer.json()["known"] is False
    assert "remembered" in answer.json()["detail"]
    assert await said(api, body()) == ["409 withdrawn"]
    await api.world.route(content("a", text="unsure"))
    rows = await api.world.database.pool.fetch(ROUTES)
    assert [tuple(row) for row in rows] == [(1, "withdrawn")]
    assert await api.world.outcomes() == {}
    assert api.world.counted("withdrawals_remembered_total") == 1
    assert api.world.counted("routed_total", route="withdrawn", why="withdrawn", stage="active") == 1


async def test_a_sender_whose_clock_runs_ahead_withdraws_what_it_sent(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    ahead = datetime.now(UTC) + AHEAD - timedelta(seconds=5)
    await said(api, body(text="unsure", created_at=ahead.isoformat()))
    await api.client.delete("/v1/content/forum/a")  # before anything is routed
    await api.world.route()
    await said(api, {**body(text="unsure", created_at=ahead.isoformat()), "content_id": "b"})
    await api.world.route()
    await api.client.delete("/v1/content/forum/b")
    await api.world.route()
    cancelled = await api.world.events(ReviewCancelled)
    assert sorted((e.content_id, e.why) for e in cancelled) == [("a", "withdrawn"), ("b", "withdrawn")]
    assert {e.withdrawn_at for e in await api.world.events(ContentWithdrawn)} == {ahead}


async def test_a_record_of_the_bus_cannot_take_what_was_promised_over_http(api: Api) -> None:
    """The record stands before the request in the log; the one with the promise is decided all the same."""
    await api.world.in_force(model=FakeModel())
    await api.world.send(content("a", text="sure spam"))
    assert await said(api, body(text="fine")) == ["202"]
    await api.world.route()
    ((reason, detail),) = await api.world.dead_letters()
    assert (reason, "is known with other content" in detail) == ("revision_reused", True)
    assert [event.outcome for event in await api.world.events(ContentDecided)] == ["approve"]


async def test_what_the_bus_brought_first_cannot_be_taken_over_http(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    await api.world.route(content("a", 2, text="fine"))
    assert await said(api, body(2, "sure"), body(1), body(2, "fine")) == [
        "409 revision_reused", "409 superseded", "202",
    ]  # fmt: skip


async def test_of_many_that_send_the_same_revision_at_once_one_identity_is_accepted(api: Api) -> None:
    """Twenty requests, alone and in batches, and a router at work on records of the bus with the same names."""
    await api.world.in_force(POLICY, FakeModel())
    names = [f"c{number}" for number in range(30)]
    await api.world.send(*(content(name, text="sure, from the bus") for name in names))

    async def single(number: int) -> list[tuple[str, str]]:
        took = []
        for name in names:
            text = f"fine {number}"
            if (await api.post({**body(text=text), "content_id": name})).status_code == 202:
                took.append((name, text))
        return took

    async def batch(number: int) -> list[tuple[str, str]]:
        text = f"unsure {number}"
        lines = [json.dumps({**body(text=text), "content_id": name}) for name in names]
        answer = (await api.post("\n".join(lines).encode(), BATCH_PATH)).json()
        spans = [span.split("-") for lines in answer["refused_lines"].values() for span in lines.split(",")]
        refused = {line for span in spans for line in range(int(span[0]), int(span[-1]) + 1)}
        return [(name, text) for line, name in enumerate(names, 1) if line not in refused]

    async with api.world.running(batch=4) as tasks:
        found = await asyncio.gather(*(single(n) for n in range(3)), *(batch(n) for n in range(3)))
        await api.world.idle(*tasks)
    promised = [took for each in found for took in each]
    assert len({name for name, _ in promised}) == len(promised), "a revision was promised twice"
    asked = {e.content_id: e.content.text for e in await api.world.events(ReviewRequested)}
    decided = {e.content_id: e.outcome for e in await api.world.events(ContentDecided)}
    for name, text in promised:
        assert (asked.get(name) == text) if text.startswith("unsure") else (decided.get(name) == "approve")
    assert set(asked) | set(decided) == set(names)
    assert not set(asked) & set(decided)


async def test_repeats_with_higher_counts_are_published_and_raise_the_place(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    assert await said(api, body(text="unsure"), body(text="unsure", reports=9)) == ["202", "202"]
    await api.world.route()
    first, second = await api.world.events(ReviewRequested)
    assert first.review_id == second.review_id
    assert first.priority < second.priority
    assert second.content.reports == 9
    assert await said(api, body(text="unsure", reports=2)) == ["202"]
    await api.world.route()
    assert len(await api.world.events(ReviewRequested)) == 2
    assert api.world.counted("reviews_raised_total") == 1


async def test_a_revision_that_comes_again_over_the_bus_after_its_withdrawal_is_set_aside(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    later = datetime(2025, 3, 1, tzinfo=UTC)
    await api.world.route(content("a"), withdrawal("a"), content("a"), content("a", created_at=later))
    ((reason, detail),) = await api.world.dead_letters()
    assert (reason, "send a higher revision" in detail) == ("withdrawn", True)
    assert len(await api.world.events(ContentSubmitted)) == 3


async def test_keys_send_only_for_their_sources(api: Api) -> None:
    key = await api.keys.create("shop", "upstream", ["shop", "blog"])
    bound = {"Authorization": f"Bearer {key}"}
    refused = problem(await api.post(body(), **bound), 403)
    assert "'forum'" in refused["detail"]
    assert "blog, shop" in refused["detail"]
    problem(await api.client.delete("/v1/content/forum/a", headers=bound), 403)
    lines = [{**body(), "source": source} for source in ("shop", "forum", "blog")]
    answer = (await api.post("\n".join(map(json.dumps, lines)).encode(), BATCH_PATH, **bound)).json()
    assert answer["accepted"] == 2
    ((told,),) = [[(r["line"], r["code"], r["errors"][0]["field"]) for r in answer["refused"]]]
    assert told == (2, "forbidden", "source")
    assert (await api.client.delete("/v1/content/shop/a", headers=bound)).status_code == 202
    assert sorted({record.key for record in await api.world.records(ContentSubmitted.topic)}) == ["blog/a", "shop/a"]
    assert (await api.post(body())).status_code == 202, "a key that is bound to nothing sends everything"
