"""The Python client in bulk: batches of content out, the feed and the stream of decisions in."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook_client import AsyncClient, Client, Forbidden, Retries, UnexpectedAnswer, Unreachable
from secondlook_client._sse import Events
from secondlook_client.batches import Batches
from tests.sdk.both import FAST, KEY, Called
from tests.sdk.scripted import Answered, Asked, problem, scripted
from tests.sdk.test_webhook_signatures import DECISION


def content(number: int, text: str = "hello") -> dict[str, Any]:
    created = "2026-01-01T00:00:00Z"
    return {"source": "forum", "content_id": f"p{number}", "revision": 1, "text": text, "created_at": created}


def router(asked: Asked) -> Answered:
    """Refuses every seventh item; explains the first two, and counts the others, as the router does."""
    lines = [json.loads(line) for line in asked.body.split(b"\n")]
    if len(asked.body) > 5_000:
        return problem(413, code="too_large")
    wrong = [number for number, line in enumerate(lines, 1) if int(line["content_id"][1:]) % 7 == 0]
    errors = [{"field": "text", "problem": "is empty"}]
    answer = {
        "accepted": len(lines) - len(wrong),
        "refused_count": len(wrong),
        "refused": [{"line": line, "code": "invalid", "errors": errors, "error_count": 1} for line in wrong[:2]],
        "refused_lines": {"invalid": ",".join(map(str, wrong))} if wrong else {},
    }
    return Answered(202, json.dumps(answer).encode())


@pytest.mark.parametrize("lines", [1, 3, 10, 1000])
def test_everything_is_sent_once_and_what_was_refused_is_returned(call: Called, lines: int) -> None:
    items = [content(number) for number in range(40)]
    with scripted(script=router) as server:
        submitted = call(server.url, "submit_many", iter(items), lines=lines)
    sent = [line for asked in server.asked for line in asked.body.split(b"\n") if len(asked.body) <= 5_000]
    assert [json.loads(line)["content_id"] for line in sent] == [item["content_id"] for item in items]
    assert all(asked.body.count(b"\n") < lines for asked in server.asked)
    assert submitted.accepted == 34
    assert [one.content for one in submitted.refused] == items[::7]
    assert {one.code for one in submitted.refused} == {"invalid"}
    assert submitted.refused[0].errors[0].problem == "is empty"


def test_a_batch_that_is_too_large_for_what_stands_between_is_halved_down_to_the_one_item(call: Called) -> None:
    items = [content(number, "x" * (9_000 if number == 5 else 10)) for number in range(1, 9)]
    with scripted(script=router) as server:
        submitted = call(server.url, "submit_many", items)
    assert (submitted.accepted, [(one.content["content_id"], one.code) for one in submitted.refused]) == (
        6, [("p5", "too_large"), ("p7", "invalid")],
    )  # fmt: skip


def test_what_cannot_be_written_is_refused_and_the_rest_is_sent(call: Called) -> None:
    with scripted(script=router) as server:
        submitted = call(server.url, "submit_many", [content(1), content(2, "half \ud83d"), content(3)])
    assert (submitted.accepted, [one.code for one in submitted.refused]) == (2, ["malformed"])
    assert len(server.asked[0].body.split(b"\n")) == 2


def test_nothing_at_all_asks_nobody(call: Called) -> None:
    with scripted(script=router) as server:
        assert call(server.url, "submit_many", []) == (0, [])
    assert server.asked == []


async def test_the_asynchronous_client_reads_an_asynchronous_source() -> None:
    async def rows() -> Any:
        for number in range(5):
            yield content(number)

    with scripted(script=router) as server:
        async with AsyncClient(KEY, router_url=server.url, retries=FAST) as client:
            assert (await client.submit_many(rows(), lines=2)).accepted == 4
    assert len(server.asked) == 3


@given(
    st.lists(st.integers(0, 60), max_size=40).map(lambda sizes: [content(n, "x" * s) for n, s in enumerate(sizes)]),
    st.integers(1, 12), st.integers(1, 900),
)  # fmt: skip
def test_batches_keep_order_and_limits_and_lose_nothing(items: list[dict[str, Any]], lines: int, size: int) -> None:
    batches = Batches(lines, size)
    cut = [batch for item in items if (batch := batches.add(item))]
    cut += [batch] if (batch := batches.rest()) else []
    assert [line.content for batch in cut for line in batch] == items
    for batch in cut:
        assert len(batch) <= lines
        assert len(batch) == 1 or sum(len(line.body) + 1 for line in batch) <= size + 1


def feed(asked: Asked) -> Answered:
    """A feed of 10 decisions, with plain numbers as cursors; it has nothing further."""
    given_ = dict(parse_qsl(urlsplit(asked.target).query))
    first, limit = int(given_.get("after", 0)), int(given_["limit"])
    numbers = range(first, min(10, first + limit))
    page = [{**DECISION, "sequence": number} for number in numbers]
    return Answered(body=json.dumps({"decisions": page, "next": str(first + len(page)), "later": 1}).encode())


@pytest.mark.parametrize("after", [None, "0", "4", "10"])
def test_the_feed_goes_on_where_a_stored_cursor_stopped(call: Called, after: str | None) -> None:
    left = list(range(int(after or 0), 10))
    with scripted(script=feed) as server:
        pages = call(server.url, "feed", after, limit=3, wait=0, first=(len(left) + 2) // 3)
    assert [decision.sequence for page in pages for decision in page.decisions] == left
    assert not pages or pages[-1].next == "10"


def test_filters_are_handed_on(call: Called) -> None:
    with scripted(script=feed) as server:
        call(
            server.url, "feed_page", "5", source=["forum", "chat"], label="spam", outcome="reject", decided_by="model",
            limit=7, wait=2.5,
        )  # fmt: skip
        call(server.url, "feed_page")
    assert [parse_qsl(urlsplit(asked.target).query) for asked in server.asked] == [
        [("after", "5"), ("limit", "7"), ("wait", "2.5"), ("source", "forum"), ("source", "chat"), ("label", "spam"),
         ("outcome", "reject"), ("decided_by", "model")],
        [("limit", "500"), ("wait", "0")],
    ]  # fmt: skip


def test_a_feed_that_breaks_is_read_on_and_one_that_stays_away_is_raised() -> None:
    answers = iter([problem(503), Answered(body=b"", cut=True)])
    with scripted(script=lambda asked: next(answers, None) or feed(asked)) as server:
        pages: Iterator[Any] = Client(KEY, api_url=server.url, retries=FAST).feed(limit=5, wait=0)
        assert next(pages).next == "5"
        server.script = lambda _: Answered(body=b"", cut=True)
        with pytest.raises(Unreachable):
            next(pages)


def event(cursor: int, **changed: Any) -> bytes:
    decision = json.dumps({**DECISION, "sequence": cursor, **changed}, ensure_ascii=False)
    return f"id: {cursor}\nevent: decision\ndata: {decision}\n\n".encode()


def stream(asked: Asked) -> Answered:
    """A stream of 10 decisions that breaks off in the middle of every third."""
    first = int(dict(parse_qsl(urlsplit(asked.target).query)).get("after", 0))
    events = b"".join(event(number) for number in range(first + 1, min(first + 4, 11)))
    later = b"event: of_a_later_version\ndata: {}\n\n"
    body = b": following\n\n" + later + events[: len(events) - 20 if first < 8 else None]
    return Answered(200, body, {"Content-Type": "text/event-stream"}, cut=first < 8)


def test_the_stream_is_taken_up_behind_the_last_whole_decision(call: Called) -> None:
    with scripted(script=stream) as server:
        found = call(server.url, "stream", first=10, source="forum")
    assert [one.decision.sequence for one in found] == list(range(1, 11))
    assert [one.cursor for one in found] == [str(number) for number in range(1, 11)]
    assert all(asked.headers["accept"] == "text/event-stream" for asked in server.asked)
    assert "source=forum" in server.asked[-1].target


def test_a_stream_that_may_not_be_read_is_raised_and_one_of_nonsense_too(call: Called) -> None:
    with scripted(problem(403)) as server, pytest.raises(Forbidden):
        call(server.url, "stream", first=1)
    assert len(server.asked) == 1
    with scripted(Answered(200, b"event: decision\ndata: {}\n\n")) as server, pytest.raises(UnexpectedAnswer):
        call(server.url, "stream", first=1)


def test_a_stream_that_is_not_there_is_tried_as_often_as_allowed(call: Called) -> None:
    with scripted(problem(503)) as server, pytest.raises(Exception, match="what happened"):
        call(server.url, "stream", first=1, retries=Retries(tries=3, first=0.001))
    assert len(server.asked) == 3


TEXT = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=30)


@given(
    st.lists(st.tuples(TEXT.filter(lambda text: "\x00" not in text), TEXT.filter(bool)), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\r"]), st.integers(1, 40),
)  # fmt: skip
def test_events_are_the_same_however_their_bytes_are_cut(sent: list[tuple[str, str]], end: bytes, size: int) -> None:
    """Also with line separators that are none of the standard's, like U+2028 and U+0085."""
    lines = [line for id_, data in sent for line in (f"id: {id_}", ":x", f"data: {data}", "")]
    whole = b"".join(line.encode() + end for line in lines) + b"x" + end
    events = Events()
    found = [event for at in range(0, len(whole), size) for event in events.feed(whole[at : at + size])]
    assert [(event.id, event.data) for event in found] == sent


def test_events_of_several_lines_and_without_data() -> None:
    body = b"data: a\ndata:  b\ndata\n\nid: 1\n\nevent: x\ndata: c\n\ndata: d\n\n"
    found = [(event.id, event.name, event.data) for event in Events().feed(body)]
    assert found == [("", "message", "a\n b\n"), ("1", "x", "c"), ("1", "message", "d")]


def test_iterators_end_when_they_are_left(call: Called) -> None:
    with scripted(script=stream) as server:
        assert len(call(server.url, "stream", first=2)) == 2
        with Client(KEY, api_url=server.url) as client:
            assert len(list(islice(client.stream(), 2))) == 2
