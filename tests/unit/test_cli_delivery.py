"""Delivery: what is tried again, what is not, and how fast it goes."""

import json

import httpx
import pytest

from secondlook.cli.files.router_client import Pace, RouterClient, connect
from secondlook.common.errors import ConfigurationError

ANSWER = {"accepted": 1, "refused": [{"line": 2, "code": "invalid", "errors": [{"field": "text", "problem": "p"}]}]}


class Script:
    """A router that gives these answers in turn; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.bodies: list[bytes] = []
        self.notices: list[str] = []
        self.slept: list[float] = []

    def client(self, retries: int = 3) -> RouterClient:
        client = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://router")
        return RouterClient(client, retries, self.notices.append, self.slept.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_an_answer_is_a_receipt() -> None:
    receipt = Script(httpx.Response(202, json=ANSWER)).client().send([b"{}", b"[]"])
    assert receipt.accepted == 1
    assert (receipt.refused[0].line, receipt.refused[0].code) == (2, "invalid")


@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(503), httpx.Response(502), httpx.Response(429), httpx.ConnectError("refused"),
     httpx.ReadTimeout("slow")],
)  # fmt: skip
def test_trouble_is_told_and_the_same_bytes_are_sent_again(trouble: httpx.Response | Exception) -> None:
    script = Script(trouble, trouble, httpx.Response(202, json=ANSWER))
    assert script.client().send([b"a", b"b"]).accepted == 1
    assert script.bodies == [b"a\nb"] * 3
    assert len(script.notices) == len(script.slept) == 2
    assert script.slept[1] > script.slept[0]


def test_it_gives_up_after_the_retries() -> None:
    script = Script(*[httpx.Response(503)] * 3)
    with pytest.raises(ConfigurationError, match="does not answer"):
        script.client(retries=2).send([b"a"])
    assert len(script.bodies) == 3


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(401, json={"detail": "this API key is unknown"}), "refuses the key: this API key is unknown"),
        (httpx.Response(403, json={"detail": "role reviewer may not"}), "refuses the key"),
        (httpx.Response(404, text="<html>"), "is it the router"),
        (httpx.Response(200, text="hello"), "is it the router"),
        (httpx.Response(202, text="hello"), "is it the router"),
        (httpx.Response(202, content=json.dumps({"ok": True}).encode()), "is it the router"),
        (httpx.Response(500), "is it the router"),
    ],
)
def test_other_answers_are_final(answer: httpx.Response, problem: str) -> None:
    script = Script(answer)
    with pytest.raises(ConfigurationError, match=problem):
        script.client().send([b"a"])
    assert script.notices == []


@pytest.mark.parametrize(
    ("url", "key"),
    [("router:8001", "k"), ("ftp://router", "k"), ("", "k"), ("http://router:port", "k"), ("http://r", "schlüssel")],
)
def test_a_url_or_key_that_cannot_be_used(url: str, key: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(url, key)


class Time:
    """A clock that sleeping turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_pace_is_kept_and_lost_time_is_not_made_up_for() -> None:
    time = Time()
    pace = Pace(10, time.clock, time.sleep)
    for _ in range(5):
        pace.wait(5)
    assert time.now == pytest.approx(102.0)
    time.now += 60  # the router was away
    for _ in range(5):
        pace.wait(5)
    assert time.now == pytest.approx(102 + 60 + 2.0)


def test_without_a_rate_it_never_waits() -> None:
    time = Time()
    pace = Pace(None, time.clock, time.sleep)
    pace.wait(1_000_000)
    assert time.now == 100.0
