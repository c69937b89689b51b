"""The Python client against a server that is slow, busy, wrong and lying: what it repeats, and what it raises."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from secondlook_client import (
    Client,
    ClientError,
    Conflict,
    ContentSubmitted,
    Forbidden,
    Invalid,
    NotFound,
    ProblemError,
    Retries,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from secondlook_client.retries import retry_after
from tests.sdk.both import FAST, KEY, Called
from tests.sdk.scripted import Answered, problem, scripted

CONTENT = ContentSubmitted(
    source="forum", content_id="p1", revision=1, text="hello", created_at=datetime(2026, 1, 1, tzinfo=UTC)
)
ACCEPTED = Answered(202, b'{"source":"forum","content_id":"p1","revision":1}')


def test_content_is_sent_as_the_contract_has_it(call: Called) -> None:
    with scripted(ACCEPTED) as server:
        assert call(server.url, "submit", CONTENT).content_id == "p1"
        assert call(server.url, "submit", {"source": "forum", "content_id": "p1"}).revision == 1
    (first, second) = server.asked
    assert (first.method, first.target) == ("POST", "/v1/content")
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert ContentSubmitted.model_validate_json(first.body) == CONTENT
    assert json.loads(second.body) == {"source": "forum", "content_id": "p1"}


IDS = ["p1", "a/b", "50%", "%2F", "ü𝄞", "?x=1#y", "a..b", "a/../b", "...", "+ &=;:@", "{}[]|\\^`\"'<>", "\u2028"]


@pytest.mark.parametrize("content_id", IDS)
def test_every_id_arrives_as_it_is(call: Called, content_id: str) -> None:
    content = b'{"source":"forum","content_id":"p1","revisions":[],"decisions":[],"tasks":[]}'
    reported = b'{"source":"forum","content_id":"p1","report_id":"r1","known":true,"detail":"accepted"}'
    with scripted(Answered(body=content), Answered(202, reported)) as server:
        call(server.url, "content", "forum", content_id)
        call(server.url, "report", "forum", content_id, report_id="r1", reporter="u1", reason="spam")
    assert [asked.target.count("/") for asked in server.asked] == [4, 5], "a slash of an id is no slash of the path"
    for asked in server.asked:
        assert unquote(urlsplit(asked.target).path).removesuffix("/reports") == f"/v1/content/forum/{content_id}"


@pytest.mark.parametrize("content_id", ["", ".", ".."])
def test_an_id_that_no_address_can_hold_is_named(call: Called, content_id: str) -> None:
    with scripted(ACCEPTED) as server, pytest.raises(ValueError, match="cannot stand in an address"):
        call(server.url, "withdraw", "forum", content_id)
    assert server.asked == []


CUT = [Answered(body=b"", cut=True), Answered(202, b'{"sou', cut=True)]


@pytest.mark.parametrize("trouble", [*map(problem, (429, 502, 503, 504)), Answered(503, b""), *CUT])
def test_what_passes_is_sent_again(call: Called, trouble: Answered) -> None:
    with scripted(trouble, trouble, ACCEPTED) as server:
        call(server.url, "submit", CONTENT)
    assert len(server.asked) == 3
    assert len({asked.body for asked in server.asked}) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, TooManyRequests), (502, Unavailable), (503, Unavailable), (504, Unavailable)]
)
@pytest.mark.parametrize("described", [True, False])
def test_what_does_not_pass_is_raised_after_all_tries(
    call: Called, status: int, kind: type[ProblemError], described: bool
) -> None:
    answer = problem(status, code="busy") if described else Answered(status, b"<html>", {"Content-Type": "text/html"})
    with scripted(answer) as server, pytest.raises(kind) as raised:
        call(server.url, "submit", CONTENT)
    assert len(server.asked) == FAST.tries
    assert raised.value.status == status
    assert raised.value.code in ("busy", "unavailable")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthenticated), (403, Forbidden), (404, NotFound), (409, Conflict), (413, TooLarge), (422, Invalid),
     (400, ProblemError), (408, ProblemError), (500, ProblemError)],
)  # fmt: skip
def test_a_problem_is_raised_at_once_with_its_code_and_fields(
    call: Called, status: int, kind: type[ProblemError]
) -> None:
    told = problem(status, code="why", errors=[{"field": "text", "problem": "is empty"}], error_count=1, later=[1])
    with scripted(told) as server, pytest.raises(kind) as raised:
        call(server.url, "submit", CONTENT)
    assert len(server.asked) == 1
    error = raised.value
    assert (type(error), error.status, error.code, str(error)) == (kind, status, "why", "what happened")
    assert [(one.field, one.problem) for one in error.errors] == [("text", "is empty")]


def test_a_problem_without_a_code_is_known_by_its_type(call: Called) -> None:
    with scripted(problem(404, type="/problems/not-found")) as server, pytest.raises(NotFound) as raised:
        call(server.url, "content", "forum", "p1")
    assert raised.value.code == "not_found"


@pytest.mark.parametrize(
    "answer",
    [Answered(200, b"<html>hello</html>"), Answered(200, b"[]"), Answered(200, b"\xff"), Answered(404, b"not here"),
     Answered(500, b"oops"), Answered(302, b"", {"Location": "http://127.0.0.1:9/"}),
     Answered(404, b"{}", {"Content-Type": "application/problem+json"})],
)  # fmt: skip
def test_an_answer_that_is_not_of_second_look_is_named(call: Called, answer: Answered) -> None:
    with scripted(answer) as server, pytest.raises(UnexpectedAnswer) as raised:
        call(server.url, "submit", CONTENT)
    assert len(server.asked) == 1, "neither repeated nor sent elsewhere"
    assert KEY not in str(raised.value)


def test_nobody_there_is_raised_with_the_address_and_without_the_key(call: Called) -> None:
    with scripted(ACCEPTED) as server:
        gone = server.url
    with pytest.raises(Unreachable, match=gone) as raised:
        call(gone, "submit", CONTENT)
    assert KEY not in str(raised.value)
    assert isinstance(raised.value.__cause__, httpx.RequestError)


def test_the_server_says_when_to_come_back(call: Called) -> None:
    began = datetime.now(UTC)
    with scripted(problem(429, {"Retry-After": "1"}), ACCEPTED) as server:
        call(server.url, "submit", CONTENT, retries=Retries(tries=2, first=0.001, longest=2))
    assert datetime.now(UTC) - began >= timedelta(seconds=1)


def test_a_wait_longer_than_allowed_is_left_to_the_caller(call: Called) -> None:
    with scripted(problem(429, {"Retry-After": "3600"})) as server, pytest.raises(TooManyRequests) as raised:
        call(server.url, "submit", CONTENT)
    assert len(server.asked) == 1
    assert raised.value.retry_after == 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("1", 1), (" 2 ", 2), ("1.5", 1.5), ("-3", 0), ("nan", None), ("inf", None), ("soon", None), ("", None),
     (None, None), ("٣", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("99999999999999999999", 1e20)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_a_date_to_come_is_counted_from_now() -> None:
    found = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert found is not None
    assert 57 < found <= 60


@pytest.mark.parametrize("tries", [1, 3, float("inf")])
def test_waits_grow_to_their_limit_and_end_with_the_tries(tries: float) -> None:
    retries = Retries(tries=tries, first=1, longest=8)
    waits = [retries.wait(failed) for failed in range(1, 2000)]
    assert sum(wait is not None for wait in waits) == min(tries - 1, 1999)
    for failed, wait in enumerate(waits, 1):
        assert wait is None or min(8, 2 ** min(failed - 1, 9)) / 2 <= wait <= 8


@pytest.mark.parametrize("key", ["", "  ", "sl_\nkey", "sl_ü"])
def test_a_key_that_cannot_be_one_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the key is empty, or holds") as raised:
        Client(key)
    assert not key.strip() or key not in str(raised.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", ""])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="api_url must begin with http"):
        Client(KEY, api_url=url)


def test_every_error_is_one_of_the_tree() -> None:
    kinds = [Conflict, Forbidden, Invalid, NotFound, TooLarge, TooManyRequests, Unauthenticated, Unavailable,
             UnexpectedAnswer, Unreachable]  # fmt: skip
    assert all(issubclass(kind, ClientError) for kind in kinds)
