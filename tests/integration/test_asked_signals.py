"""The router asks somebody else's classifier: whatever that does, nothing is approved because of it."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentDecided, ContentSubmitted, ReviewRequested
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.head.signals import Said
from secondlook.router.signals.asking import AskedSignals, ToldContent, joined, parse_hosts
from secondlook.router.signals.budget import SharedBudget
from secondlook.router.signals.reading import Heard
from tests.integration.classifier_server import ClassifierServer, scored, serving
from tests.integration.router_world import FakeModel, World, content, make_world

TIMEOUT = 0.4
VARIABLE, HEADER = "SECONDLOOK_SIGNAL_VENDOR", "X-Key"
RESTS = 3600  # seconds after which every rest is over


class Watch(SystemClock):
    """Runs ahead as tests say."""

    ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead


def policy(url: str, *, required: bool = True, kind: str = "json", **more: Any) -> str:
    place = "/score" if kind == "json" else "hate"
    asked = {"kind": kind, "url": url, "names": {"vendor.toxic": place}, "timeout_seconds": 10, **more}
    signals = {"required": ["vendor.toxic"] if required else [], "ask": {"vendor": asked}}
    labels = {"spam": {"description": "advertising"}}
    return json.dumps({"name": "t", "labels": labels, "audit": {"certify": 0, "most": 0}, "signals": signals})


@pytest.fixture
def server() -> Iterator[ClassifierServer]:
    with serving() as server:
        yield server


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        yield world


@pytest.fixture
async def asked(world: World) -> AsyncIterator[AskedSignals]:
    world.clock = Watch()
    found = AskedSignals(SharedBudget(world.database), world.signal_metrics, {"localhost"}, world.clock)
    yield found
    await found.aclose()


def items(number: int, start: int = 0) -> list[ContentSubmitted]:
    return [content(f"c{n}", text=f"fine {n}") for n in range(start, start + number)]


async def gather(asked: AskedSignals, document: str, contents: Sequence[ContentSubmitted]) -> list[ToldContent]:
    found: Policy = parse_policy(document)
    return await asked.gather(found, contents)


def said(told: Sequence[ToldContent]) -> list[dict[str, float]]:
    return [dict(each.content.signals) for each in told]


def requests(world: World, result: str) -> float:
    return world.counted("signal_requests_total", endpoint="vendor", result=result)


async def test_an_answer_becomes_a_signal_of_its_item(
    world: World, asked: AskedSignals, server: ClassifierServer
) -> None:
    server.answer = lambda body: (200, json.dumps({"score": int(body["text"].split()[1]) / 100}).encode())
    told = await gather(asked, policy(server.url), items(20))
    assert said(told) == [{"vendor.toxic": n / 100} for n in range(20)]
    assert all(not each.missing for each in told)
    assert sorted(server.asked[0]) == ["kind", "language", "text"]
    assert requests(world, "answered") == 20


async def test_the_same_content_is_asked_about_once(
    world: World, asked: AskedSignals, server: ClassifierServer
) -> None:
    same = [content(f"c{n}", text="fine") for n in range(30)]
    for _ in range(3):
        assert said(await gather(asked, policy(server.url), same)) == [{"vendor.toxic": 0.5}] * 30
    assert len(server.asked) == 1
    await gather(asked, policy(server.url, cached=5), items(10))  # other settings: asked anew
    await gather(asked, policy(server.url, cached=5), items(10))
    assert len(server.asked) > 11, "no more answers are kept than the policy says"


async def test_openai_moderation_is_asked_as_its_api_says(asked: AskedSignals, server: ClassifierServer) -> None:
    server.answer = lambda body: (
        200, json.dumps({"results": [{"flagged": False, "category_scores": {"hate": 0.25, "violence": 0.9}}]}).encode()
    )  # fmt: skip
    document = policy(server.url, kind="openai_moderation", model="omni")
    told = await gather(asked, document, [content("a", text="fine")])
    assert server.asked == [{"input": "fine", "model": "omni"}]
    assert said(told) == [{"vendor.toxic": 0.25}]


WRONG = {
    "500": (500, b'{"score": 0}'),
    "404": (404, b""),
    "a redirect": (302, b'{"score": 0}'),
    "204": (204, b""),
    "HTML": (200, b"<html><body>It works!</body></html>"),
    "nothing": (200, b""),
    "NaN": (200, b'{"score": NaN}'),
    "infinite": (200, b'{"score": 1e400}'),
    "below": (200, b'{"score": -0.01}'),
    "above": (200, b'{"score": 1.01}'),
    "a percentage": (200, b'{"score": 97}'),
    "missing": (200, b'{"scores": 0.1}'),
    "null": (200, b'{"score": null}'),
    "true": (200, b'{"score": true}'),
    "text": (200, b'{"score": "0.1"}'),
    "deep": (200, b'{"score": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a list": (200, b"[0.1]"),
    "huge": (200, b" " * 2_000_000 + b'{"score": 0.1}'),
    "not UTF-8": (200, b'{"score": 0.1, "x": "\xff"}'),
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
async def test_a_wrong_answer_is_none_and_required_content_goes_to_a_person(
    world: World, server: ClassifierServer, answer: tuple[int, bytes]
) -> None:
    server.answer = lambda body: answer
    await world.in_force(policy(server.url), FakeModel(), 2)
    await world.route(*items(3))
    reviews = await world.events(ReviewRequested)
    assert [(each.why, each.content.signals) for each in reviews] == [("uncertain", {})] * 3
    assert await world.events(ContentDecided) == []
    assert world.counted("signal_missing_total", signal="vendor.toxic") == 3
    told = {row["reason"] for row in await world.database.pool.fetch("SELECT reason FROM routed_revision")}
    assert all(why.startswith("required signal vendor.toxic is missing: ") for why in told)
    assert await world.dead_letters() == []


async def test_a_missing_signal_that_none_requires_is_the_heads(world: World, server: ClassifierServer) -> None:
    server.answer = lambda body: (500, b"")
    await world.in_force(policy(server.url, required=False), FakeModel(), 2)
    await world.route(*items(3))
    assert [each.outcome for each in await world.events(ContentDecided)] == ["approve"] * 3


async def test_a_slow_classifier_costs_a_batch_its_time_limit_and_then_rests(
    world: World, asked: AskedSignals, server: ClassifierServer
) -> None:
    server.seconds = 30
    began = time.perf_counter()
    told = await gather(asked, policy(server.url, timeout_seconds=TIMEOUT), items(200))
    assert time.perf_counter() - began < 10 * TIMEOUT
    assert {why for each in told for why in each.missing.values()} == {f"no answer within {TIMEOUT} s"}
    made, began = len(server.asked), time.perf_counter()
    for start in range(200, 2_200, 100):
        told = await gather(asked, policy(server.url, timeout_seconds=TIMEOUT), items(100, start))
    assert time.perf_counter() - began < 10 * TIMEOUT, "twenty batches while it rests take no time"
    assert len(server.asked) == made
    assert said(told) == [{}] * 100


async def test_one_request_tells_whether_it_is_back(asked: AskedSignals, server: ClassifierServer) -> None:
    watch = asked._clock
    assert isinstance(watch, Watch)
    server.answer = lambda body: (503, b"")
    await gather(asked, policy(server.url), items(20))
    made = len(server.asked)
    watch.ahead = timedelta(seconds=RESTS)
    await gather(asked, policy(server.url), items(20))
    assert len(server.asked) == made + 1, "still down: one request, and it rests again"
    server.answer = scored(0.25)
    watch.ahead = timedelta(seconds=2 * RESTS)
    assert said(await gather(asked, policy(server.url), items(20))) == [{"vendor.toxic": 0.25}] * 20


async def test_it_rests_as_long_as_it_asks_to(asked: AskedSignals, server: ClassifierServer) -> None:
    watch = asked._clock
    assert isinstance(watch, Watch)
    server.answer, server.headers = lambda body: (429, b""), {"retry-after": "120"}
    await gather(asked, policy(server.url, at_once=1), items(5))
    made = len(server.asked)
    watch.ahead = timedelta(seconds=100)
    await gather(asked, policy(server.url, at_once=1), items(5))
    assert (made, len(server.asked)) == (1, 1)


async def test_nobody_listens(world: World, asked: AskedSignals) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://localhost:{unused.getsockname()[1]}/score"
    began = time.perf_counter()
    told = await gather(asked, policy(url), items(100))
    assert time.perf_counter() - began < 10 * TIMEOUT
    assert said(told) == [{}] * 100


async def test_a_dead_classifier_does_not_take_the_answers_of_another(
    asked: AskedSignals, server: ClassifierServer
) -> None:
    with serving() as dead:
        dead.seconds = 30
        both = json.loads(policy(server.url, required=False))
        both["signals"]["ask"]["other"] = {
            "kind": "json", "url": dead.url, "names": {"other": "/score"}, "timeout_seconds": TIMEOUT
        }  # fmt: skip
        told = await gather(asked, json.dumps(both), items(50))
    assert said(told) == [{"vendor.toxic": 0.5}] * 50
    assert all(set(each.missing) == {"other"} for each in told)


async def test_the_event_loop_is_free_meanwhile(asked: AskedSignals, server: ClassifierServer) -> None:
    server.seconds, longest, last = 2.0, 0.0, time.perf_counter()
    gathering = asyncio.create_task(gather(asked, policy(server.url, timeout_seconds=2), items(100)))
    while not gathering.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 1, "less than one answer takes"


async def test_limits_hold_for_all_routers_together(world: World, server: ClassifierServer) -> None:
    document = policy(server.url, most_an_hour=25, at_once=4)
    routers = [AskedSignals(SharedBudget(world.database), world.signal_metrics, {"localhost"}) for _ in range(3)]
    told = await asyncio.gather(*(gather(each, document, items(20, 100 * n)) for n, each in enumerate(routers)))
    assert len(server.asked) == 25
    assert sum(bool(each.content.signals) for batch in told for each in batch) == 25
    reasons = {why for batch in told for each in batch for why in each.missing.values()}
    assert reasons == {"the policy's limit of requests is reached"}
    assert requests(world, "over_limit") == 35
    await world.database.pool.execute("UPDATE signal_request SET hour = hour - interval '2 hours'")
    again = await gather(routers[0], policy(server.url, most_an_hour=25, most_a_day=30), items(20, 500))
    assert sum(bool(each.content.signals) for each in again) == 5, "the day's limit counts what came before"
    await world.database.pool.execute("UPDATE signal_request SET hour = hour - interval '26 hours'")
    await gather(routers[0], policy(server.url, most_an_hour=25, most_a_day=30), items(20, 600))
    assert await world.database.pool.fetchval("SELECT count(*) FROM signal_request") == 1, "old hours are removed"
    for each in routers:
        await each.aclose()


@pytest.mark.parametrize(("hosts", "reason"), [
    ((), "SECONDLOOK_SIGNAL_HOSTS does not name localhost, which is asked without TLS"),
    (("elsewhere.example",), "SECONDLOOK_SIGNAL_HOSTS does not name localhost, which is asked without TLS"),
])  # fmt: skip
async def test_a_host_that_the_operator_does_not_name_is_not_asked(
    world: World, server: ClassifierServer, hosts: tuple[str, ...], reason: str
) -> None:
    asked = AskedSignals(SharedBudget(world.database), world.signal_metrics, hosts)
    told = await gather(asked, policy(server.url), items(2))
    assert [dict(each.missing) for each in told] == [{"vendor.toxic": reason}] * 2
    told = await gather(asked, policy(server.url.replace("http:", "https:")), items(2))
    assert all(
        "is no public address; SECONDLOOK_SIGNAL_HOSTS allows it" in each.missing["vendor.toxic"] for each in told
    )
    assert server.asked == []
    await asked.aclose()


async def test_a_secret_is_sent_to_a_named_host_and_shown_nowhere(
    world: World, asked: AskedSignals, server: ClassifierServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await gather(asked, policy(server.url, secret=VARIABLE), items(1))
    assert dict(told[0].missing) == {"vendor.toxic": "the router has no variable SECONDLOOK_SIGNAL_VENDOR"}
    monkeypatch.setenv("SECONDLOOK_SIGNAL_VENDOR", "s3cret")
    await gather(asked, policy(server.url, secret=VARIABLE), items(1))
    assert server.heard[-1]["authorization"] == "Bearer s3cret"
    await gather(asked, policy(server.url, secret=VARIABLE, secret_header=HEADER), items(1))
    assert server.heard[-1]["x-key"] == "s3cret"
    assert "authorization" not in server.heard[-1]


async def test_upstream_cannot_speak_for_a_classifier(world: World, server: ClassifierServer) -> None:
    server.answer = lambda body: (500, b"")
    await world.in_force(policy(server.url), FakeModel(), 2)
    forged = content("a", text="fine", signals={"vendor.toxic": 0.0, "age": 0.5})
    await world.route(forged)
    (review,) = await world.events(ReviewRequested)
    assert review.content.signals == {"age": 0.5}


class Trusting(FakeModel):
    """Believes the signal alone."""

    def classify(self, texts: Sequence[str], signals: Said = ()) -> Prediction:
        scores = np.array([[each.get("vendor.toxic", 0.5)] for each in signals], np.float32)
        return Prediction.fitting(scores, np.ones((len(texts), 4), np.float32))


async def test_signals_reach_the_model_the_review_and_the_row(world: World, server: ClassifierServer) -> None:
    await world.in_force(policy(server.url), Trusting("b2"), 2)
    server.answer = lambda body: (200, json.dumps({"score": {"a": 0.05, "b": 0.95, "c": 0.5}[body["text"]]}).encode())
    await world.route(*(content(name, text=name, signals={"age": 0.25}) for name in "abc"))
    assert {each.content_id: each.outcome for each in await world.events(ContentDecided)} == {
        "a": "approve", "b": "reject",
    }  # fmt: skip
    (review,) = await world.events(ReviewRequested)
    assert review.content.signals == {"age": 0.25, "vendor.toxic": 0.5}
    stored = await world.database.pool.fetch("SELECT content_id, signals FROM revision ORDER BY content_id")
    assert [row["signals"]["vendor.toxic"] for row in stored] == [0.05, 0.95, 0.5]


async def test_of_repeats_the_signals_that_were_routed_first_stand(world: World) -> None:
    await world.in_force(None, Trusting("b2"))
    await world.route(content("a", signals={"vendor.toxic": 0.5}), content("a", signals={"vendor.toxic": 0.0}))
    await world.route(content("a", signals={"vendor.toxic": 0.0}, reports=50))
    assert await world.events(ContentDecided) == []
    assert await world.database.pool.fetchval("SELECT signals FROM revision") == {"vendor.toxic": 0.5}
    assert await world.dead_letters() == []


async def test_an_item_without_text_and_without_signals_goes_to_a_person(world: World) -> None:
    picture = content("a", text="", kind="image", context={"url": "https://x.example/1.png"})
    await world.route(picture)
    reviews = await world.events(ReviewRequested)
    assert [(each.content.context.url, each.embedding) for each in reviews] == [("https://x.example/1.png", None)]


def test_of_too_many_signals_those_that_the_policy_names_come_first() -> None:
    signals = parse_policy(policy("https://x.example")).signals.model_copy(update={"required": ("z63",)})
    sent = {f"z{n}": 0.5 for n in range(64)}
    told = joined(content("a", signals=sent), [Heard({"vendor.toxic": 0.1}, {})], signals)
    assert len(told.content.signals) == 64
    assert {"z63", "vendor.toxic"} <= set(told.content.signals)
    assert ContentSubmitted.model_validate_json(told.content.model_dump_json()) == told.content


def test_hosts_are_named_with_or_without_a_port() -> None:
    listed = " localhost, http://Vendor.internal:8080/x ,10.0.0.1:80,,"
    assert parse_hosts(listed) == {"localhost", "vendor.internal", "10.0.0.1"}
    assert parse_hosts("") == frozenset()
