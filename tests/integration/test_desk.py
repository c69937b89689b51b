"""What a desk needs beside the queue: choosing, searching, the background of an item, live news, figures."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from secondlook.common.contract.events import ContentDecided, ReviewRequested, SecondLookRequested
from secondlook.reviewer_api.overview.live import HELD_BACK, MOST_OF_ONE, Listener, Told
from secondlook.reviewer_api.overview.routes import told
from tests.integration.review_world import START, World, cancelled, code_of, requested
from tests.integration.test_reviewer_api_reads import decision, log


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


def asked(
    content_id: str, *, text: str = "", author: str | None = None, url: str | None = None, **more: Any
) -> ReviewRequested:
    """A request for content with these parts."""
    request = requested(content_id, **more)
    changes: dict[str, Any] = {"author_id": author}
    if text:
        changes["text"] = text
    if url:
        changes["context"] = request.content.context.model_copy(update={"url": url})
    return request.model_copy(update={"content": request.content.model_copy(update=changes)})


async def settle(world: World, content_id: str, outcome: str, *labels: str, **more: Any) -> None:
    """Content that was judged and published, as it is in the decision log."""
    await world.request(asked(content_id, **more))
    [task] = await world.claim(name="before", filter={"text": f'"{more.get("text") or f"text of {content_id}"}"'})
    await (world.reject(task, *labels, name="before") if outcome == "reject" else world.approve(task, name="before"))
    await world.publish()
    await log(world, *(await made(world, content_id)))


async def made(world: World, content_id: str) -> list[Any]:
    bodies = await world.published("moderation.decided")
    events = [ContentDecided.model_validate_json(json.dumps(body)) for body in bodies]
    return [event for event in events if event.content_id == content_id]


async def test_a_claim_takes_what_is_named_or_matches_and_nothing_else(world: World) -> None:
    await world.request(
        asked("a", author="ann"), asked("b", author="bob"), asked("c", text="buy cheap pills now", source="shop"),
        asked("d", queue="leads"),
    )  # fmt: skip
    tasks = {task["content_id"]: task for task in (await world.call("GET", "/review/tasks")).json()["tasks"]}
    assert sorted(tasks) == ["a", "b", "c"], "leads' items are not for reviewers"
    by_id = await world.claim(5, task_ids=[tasks["b"]["task_id"]])
    assert [task["content"]["content_id"] for task in by_id] == ["b"]
    assert await world.claim(5, name="other", task_ids=[tasks["b"]["task_id"]]) == [], "somebody holds it"
    for wanted, found in (
        ({"author_id": "ann", "source": "shop"}, []), ({"text": "pills -cheap"}, []), ({"language": "de"}, []),
        ({"text": '"cheap pills"'}, ["c"]), ({"author_id": "ann", "kind": "text"}, ["a"]),
    ):  # fmt: skip
        claimed = await world.claim(5, name="other", filter=wanted)
        assert [task["content"]["content_id"] for task in claimed] == found, wanted
    lead = (await world.call("GET", "/review/tasks?queue=leads", role="lead")).json()["tasks"]
    assert [task["content_id"] for task in lead] == ["d"]
    assert code_of(await world.call("GET", "/review/tasks?queue=leads")) == "403"
    assert await world.claim(5, name="third", task_ids=[lead[0]["task_id"]]) == [], "not by its name either"
    refused: list[Any] = [{"task_ids": []}, {"task_ids": ["x"]}, {"filter": {"colour": "red"}}]
    for wrong in refused:
        assert (await world.call("POST", "/review/claims", wrong)).status_code == 422


async def test_what_waits_is_listed_in_the_order_of_claims_page_by_page(world: World) -> None:
    later = [requested(f"{n}", at=START + timedelta(seconds=n)) for n in range(5)]
    await world.request(*later, requested("u", priority=9))
    order, after = [], ""
    while True:
        page = (await world.call("GET", f"/review/tasks?limit=2{after}")).json()
        order += [task["content_id"] for task in page["tasks"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert order == ["u", "0", "1", "2", "3", "4"]
    assert [task["content"]["content_id"] for task in await world.claim(6)] == order
    assert {task["state"] for task in (await world.call("GET", "/review/tasks")).json()["tasks"]} == {"leased"}


async def test_a_page_that_closes_lets_go_soon_and_a_reload_keeps(world: World) -> None:
    await world.request(requested("a"), requested("b", at=START + timedelta(seconds=1)))
    first, second = await world.claim(2)
    leases = [{name: task[name] for name in ("task_id", "lease_token")} for task in (first, second)]
    assert (await world.call("POST", "/review/leave", {"leases": leases}, name="thief")).status_code == 204
    world.clock.turn(100)
    assert await world.claim(2, name="other") == [], "nobody lets go of another's leases"
    assert (await world.call("POST", "/review/leave", {"leases": leases})).status_code == 204
    world.clock.turn(29)
    assert (await world.act(first, "heartbeat")).status_code == 200
    world.clock.turn(2)
    assert [task["content"]["content_id"] for task in await world.claim(2, name="other")] == ["b"]
    assert code_of(await world.act(second, "heartbeat")) == "409 lease_lost"
    world.clock.turn(280)
    await world.call("POST", "/review/leave", {"leases": leases[:1]})
    world.clock.turn(20)
    held = (await world.call("GET", "/review/leases")).json()["tasks"]
    assert held == [], "leaving makes no lease longer"


async def test_search_finds_what_was_ever_asked_about_by_everything_it_is(world: World) -> None:
    await settle(world, "a", "reject", "spam", text="cheap pills for you", author="ann")
    await settle(world, "b", "approve", text="a walk in the park", author="bob")
    await world.request(asked("c", text="pills again", author="ann"), requested("gone"))
    await world.request(cancelled("gone", 1))
    await log(world, decision("sure"))

    async def found(query: str, role: Any = "lead", name: str = "") -> list[str]:
        answer = await world.call("GET", f"/search?{query}", role=role, name=name)
        assert answer.status_code == 200, answer.text
        return [item["content_id"] for item in answer.json()["items"]]

    everything = await found("")
    assert sorted(everything) == ["a", "b", "c", "gone"]
    for query, expected in {
        "text=pills": ["a", "c"], 'text="cheap pills"': ["a"], "text=pills -again": ["a"], "author_id=ann": ["a", "c"],
        "label=spam": ["a"], "outcome=approve": ["b"], "state=in_review": ["c"], "state=decided": ["a", "b"],
        "state=withdrawn": ["gone"], "source=forum&author_id=bob": ["b"], "source=shop": [],
        "queue=default": everything,
        "since=2027-01-01T00:00:00Z": [], "until=2027-01-01T00:00:00Z": everything, "text=pills&state=decided": ["a"],
    }.items():  # fmt: skip
        assert sorted(await found(query)) == sorted(expected), query
    before = (await world.caller("reviewer", "before")).subject
    assert sorted(await found(f"decided_by={before}")) == ["a", "b"]
    assert sorted(await found("", "reviewer", "before")) == ["a", "b"], "reviewers find what they judged"
    assert await found("", "reviewer", "new") == []
    page = (await world.call("GET", "/search?limit=3", role="lead")).json()
    rest = (await world.call("GET", f"/search?limit=3&after={page['next']}", role="lead")).json()
    assert [item["content_id"] for item in [*page["items"], *rest["items"]]] == everything
    assert rest["next"] is None
    first = next(item for item in page["items"] + rest["items"] if item["content_id"] == "a")
    assert (first["outcome"], first["labels"], first["excerpt"]) == ("reject", ["spam"], "cheap pills for you")
    longest = "text=" + "x" * 201
    for hostile in ("text=%27%3B DROP TABLE task", "text=%26%7C!()", "text=%00", longest, "state=odd", "after=1"):
        assert (await world.call("GET", f"/search?{hostile}", role="lead")).status_code in (200, 422), hostile


async def test_an_item_shows_its_author_thread_and_notes_to_its_holder_alone(world: World) -> None:
    page = "https://example.org/thread/1"
    await settle(world, "a", "reject", "spam", author="ann", url=page)
    await settle(world, "b", "approve", author="ann")
    await settle(world, "other", "reject", "hate", author="bob", url=page)
    await world.call("POST", "/notes", {"source": "forum", "content_id": "a", "text": "ann posts this every week"})
    await world.request(asked("c", author="ann", url=page), asked("open", author="ann"))
    [task] = await world.claim(task_ids=None, filter={"text": '"text of c"'})
    context = (await world.call("GET", f"/review/tasks/{task['task_id']}/context")).json()
    assert {name: context["author"][name] for name in ("items", "approved", "rejected", "labels")} == {
        "items": 2, "approved": 1, "rejected": 1, "labels": [{"label": "spam", "items": 1}],
    }  # fmt: skip
    assert [past["content_id"] for past in context["author"]["recent"]] == ["b", "a"], "nothing that is open"
    assert sorted(past["content_id"] for past in context["thread"]) == ["a", "other"]
    assert context["notes"] == []
    for role, who in (("reviewer", "another"), ("lead", "")):
        answer = await world.call("GET", f"/review/tasks/{task['task_id']}/context", role=role, name=who)  # type: ignore[arg-type]
        assert code_of(answer) == "409 lease_lost"
    await world.call("POST", "/notes", {"source": "forum", "content_id": "c", "text": "of the first round"})
    assert (await world.call("GET", f"/review/tasks/{task['task_id']}/context")).json()["notes"] == []
    await world.approve(task)
    await world.publish()
    world.clock.turn(1)
    await world.request(requested("c", 2, at=world.clock.now()))
    [again] = await world.claim(filter={"text": '"text of c"'})
    notes = (await world.call("GET", f"/review/tasks/{again['task_id']}/context")).json()["notes"]
    assert [note["text"] for note in notes] == ["of the first round"]
    author = (await world.call("GET", "/authors/forum/ann", role="lead")).json()
    assert (author["items"], author["rejected"]) == (2, 1)
    broken = "a\nb/c\r"  # as some upstream names its authors
    await world.request(asked("broken", author=broken))
    assert (await world.call("GET", f"/authors/forum/{quote(broken)}", role="lead")).json()["author_id"] == broken
    nothing = (await world.call("GET", "/authors/forum/no/body", role="lead")).json()
    assert (nothing["author_id"], nothing["items"]) == ("no/body", 0)
    assert (await world.call("POST", "/notes", {"source": "forum", "content_id": "zz", "text": "x"})).status_code == 404


async def test_content_tells_leads_what_it_said_and_what_people_said(world: World) -> None:
    await settle(world, "a", "reject", "spam", text="cheap pills", author="ann")
    await world.call("POST", "/notes", {"source": "forum", "content_id": "a", "text": "again"})
    content = (await world.call("GET", "/content/forum/a", role="lead")).json()
    assert (content["content"]["text"], content["content"]["author_id"]) == ("cheap pills", "ann")
    assert [(given["outcome"], given["labels"]) for given in content["judgements"]] == [("reject", ["spam"])]
    assert [note["text"] for note in content["notes"]] == ["again"]
    own = (await world.call("GET", "/content/forum/a", name="before")).json()
    assert (own["content"], own["judgements"], own["notes"]) == (None, [], [])
    await world.request(requested("a", 2))
    open_again = (await world.call("GET", "/content/forum/a", role="lead")).json()
    assert (open_again["content"], open_again["judgements"]) == (None, [])


def drained(listener: Listener) -> list[Told]:
    """Everything that the listener was told and has not taken."""
    return [listener.events.get_nowait() for _ in range(listener.events.qsize())]


async def test_listeners_hear_of_queues_and_of_what_is_taken_from_them(world: World) -> None:
    await world.request(*(requested(content) for content in "abcde"))
    tasks = {task["content"]["content_id"]: task for task in await world.claim(5)}
    subject = (await world.caller("reviewer")).subject
    live = world.api.live
    with live.listen(subject) as listener, live.listen("somebody") as other:
        await live.look()
        event, data = listener.events.get_nowait()
        assert event == "queues"
        queues = (await world.call("GET", "/queues")).json()["queues"]
        assert [queue["pending"] for queue in data["queues"]] == [queue["pending"] for queue in queues]
        await live.look()
        assert listener.events.empty(), "nothing has changed"
        await world.request(cancelled("a", 1))
        await world.request(requested("b", 2))
        await world.call("POST", f"/review/tasks/{tasks['c']['task_id']}/take-back", role="lead")
        await world.approve(tasks["d"])
        await world.act(tasks["e"], "skip")
        await live.look()
        heard = drained(listener)
        closed = {data["task_id"]: data["why"] for event, data in heard if event == "closed"}
        told_why = {"a": "withdrawn", "b": "superseded", "c": "taken_back"}
        assert closed == {tasks[content]["task_id"]: why for content, why in told_why.items()}
        assert {event for event, _ in drained(other)} == {"queues"}
        for number in range(2 * HELD_BACK):
            listener.tell("queues", {"number": number})
        assert listener.events.qsize() == HELD_BACK, "who takes nothing loses the oldest"


async def test_a_stream_is_an_event_stream_and_listeners_are_counted(world: World) -> None:
    live = world.api.live
    with live.listen("x") as listener:
        listener.tell("closed", {"task_id": "1", "why": "expired"})
        lines = told(listener)
        async with asyncio.timeout(5):
            first = await anext(lines)
        name, data = first.decode().strip().splitlines()
        assert (name, json.loads(data.removeprefix("data: "))) == ("event: closed", {"task_id": "1", "why": "expired"})
    subject = (await world.caller("reviewer")).subject
    windows = [live.listen(subject) for _ in range(MOST_OF_ONE)]
    for window in windows:
        window.__enter__()
    assert code_of(await world.call("GET", "/events")) == "503"
    for window in windows:
        window.__exit__(None, None, None)
    await live.look()
    assert live._known is None, "nobody listens, nothing is read"


async def test_stats_count_requests_verdicts_and_decisions_by_time(world: World) -> None:
    await log(world, decision("m1", seconds=10), decision("m2", seconds=3700), decision("m3", step=1, seconds=3700))
    await world.request(requested("a"), requested("b", at=START + timedelta(hours=1)))
    [task, _] = await world.claim(2)
    await world.reject(task, "spam")
    world.clock.turn(2 * 3600)
    stats = (await world.call("GET", "/stats?hours=2&buckets=2", role="lead")).json()
    assert stats["bucket_seconds"] == 3600
    first, second = stats["buckets"]
    assert (first["requested"], first["judged"], first["approved_automatically"]) == (1, 1, 1)
    assert (second["requested"], second["judged"]) == (1, 0)
    assert (second["approved_automatically"], second["rejected_automatically"]) == (1, 1)
    assert len((await world.call("GET", "/stats?hours=24", role="lead")).json()["buckets"]) == 48
    assert (await world.call("GET", "/stats?hours=0", role="lead")).status_code == 422


async def test_who_was_shown_an_item_beside_another_never_gets_its_second_look(world: World) -> None:
    page = "https://example.org/thread/1"
    await settle(world, "a", "reject", "spam", author="ann", url=page)
    world.clock.turn(60)
    await world.request(
        asked("by-ann", author="ann", at=world.clock.now()), asked("in-thread", url=page, at=world.clock.now()),
        asked("apart", author="bob", at=world.clock.now()),
    )  # fmt: skip
    shown = {}
    for who, content in (("of-author", "by-ann"), ("of-thread", "in-thread"), ("fresh", "apart")):
        [task] = await world.claim(name=who, filter={"text": f'"text of {content}"'})
        shown[who] = (await world.call("GET", f"/review/tasks/{task['task_id']}/context", name=who)).json()
        await world.approve(task, name=who)
    assert [past["content_id"] for past in shown["of-author"]["author"]["recent"]] == ["a"]
    assert [past["content_id"] for past in shown["of-thread"]["thread"]] == ["a"]
    now = world.clock.now()
    await world.request(SecondLookRequested(source="forum", content_id="a", revision=1, reason="", requested_at=now))
    for who in ("before", "of-author", "of-thread"):
        assert await world.claim(name=who) == [], who
    assert [task["content"]["content_id"] for task in await world.claim(name="fresh")] == ["a"]
