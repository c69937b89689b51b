"""Content over HTTP: what is good is on the bus when the answer comes, what is bad is answered with the field."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from secondlook.common.bus.wire import MAX_BYTES
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, ReviewCancelled
from secondlook.common.observability import Health
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.http import create_app
from secondlook.router.api import BATCH_PATH, LARGER, routes
from secondlook.router.submissions import Submissions
from tests.integration.router_world import AHEAD, FakeModel, World, content, make_world

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY: dict[str, Any] = {
    "source": "forum", "content_id": "post/1", "revision": 1, "text": "hello", "created_at": "2025-01-01T00:00:00Z",
}  # fmt: skip


@dataclass
class Api:
    """The router's application, called as an upstream service unless a test says otherwise."""

    world: World
    app: FastAPI
    keys: ApiKeys
    health: Health
    client: httpx.AsyncClient

    async def post(self, body: Any, path: str = "/v1/content", **headers: str) -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(path, content=data, headers=headers)

    async def stored(self) -> int:
        return len(await self.world.records(ContentSubmitted.topic))


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with make_world(database_url) as world:
        health, keys = Health(), ApiKeys(world.database, world.clock)
        app = create_app("router", health, world.registry, larger_bodies=LARGER)
        app.include_router(routes(Submissions(world.transactions, world.clock, world.metrics, AHEAD), keys))
        key = await keys.create("forum", "upstream")
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://router", headers=headers) as client:
            yield Api(world, app, keys, health, client)


def problem(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


async def test_accepted_content_is_on_the_bus_with_its_trace(api: Api) -> None:
    answer = await api.post(BODY, traceparent=TRACE)
    assert answer.status_code == 202
    assert answer.json() == {"source": "forum", "content_id": "post/1", "revision": 1}
    (record,) = await api.world.records(ContentSubmitted.topic)
    assert (record.key, record.headers["traceparent"], record.headers["ce_source"]) == (
        "forum/post/1", TRACE, "router-http",
    )  # fmt: skip
    (event,) = await api.world.events(ContentSubmitted)
    assert event == content("post/1", text="hello")


@pytest.mark.parametrize("trace", ["nonsense", TRACE.upper(), TRACE + "-more", "", "é"])
async def test_a_trace_that_cannot_be_read_is_ignored(api: Api, trace: str) -> None:
    answer = await api.client.post("/v1/content", json=BODY, headers=[(b"traceparent", trace.encode())])
    assert answer.status_code == 202
    (record,) = await api.world.records(ContentSubmitted.topic)
    assert "traceparent" not in record.headers


BAD: list[tuple[str, Any, str, str]] = [
    ("malformed JSON", b'{"source": ', "malformed", ""),
    ("empty body", b"", "malformed", ""),
    ("invalid UTF-8", json.dumps(BODY).encode().replace(b"hello", b"\xff\xfe"), "malformed", ""),
    ("lone surrogate", json.dumps({**BODY, "text": "a\ud800b"}).encode(), "malformed", ""),
    ("no object", [BODY], "invalid", ""),
    ("unknown field", {**BODY, "colour": "red"}, "invalid", "colour"),
    ("missing field", {k: v for k, v in BODY.items() if k != "revision"}, "invalid", "revision"),
    ("empty text", {**BODY, "text": ""}, "invalid", "text"),
    ("200,001 characters", {**BODY, "text": "x" * 200_001}, "invalid", "text"),
    ("NUL", {**BODY, "text": "a\x00b"}, "invalid", "text"),
    ("binary", {**BODY, "text": "\x01\x02\x03\x04"}, "invalid", "text"),
    ("wrong type", {**BODY, "revision": "1"}, "invalid", "revision"),
    ("float revision", {**BODY, "revision": 1.0}, "invalid", "revision"),
    ("nested attribute", {**BODY, "attributes": {"a": []}}, "invalid", "attributes.a"),
    ("future clock", {**BODY, "created_at": "2999-01-01T00:00:00Z"}, "invalid", "created_at"),
    ("no time zone", {**BODY, "created_at": "2025-01-01T00:00:00"}, "invalid", "created_at"),
    ("before there were years", {**BODY, "created_at": "0001-01-01T00:00:00+10:00"}, "invalid", "created_at"),
    ("source with capitals", {**BODY, "source": "Forum"}, "invalid", "source"),
    ("id with a space", {**BODY, "content_id": "a b"}, "invalid", "content_id"),
]


@pytest.mark.parametrize(("body", "code", "field"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_bad_content_is_refused_by_field_and_not_stored(api: Api, body: Any, code: str, field: str) -> None:
    refused = problem(await api.post(body), 422)
    assert refused["code"] == code
    assert refused["errors"][0]["field"] == field
    assert await api.stored() == 0
    assert api.world.counted("ingest_refused_total", reason=code) == 1


async def test_a_clock_that_is_a_little_ahead_is_accepted(api: Api) -> None:
    ahead = datetime.now(UTC) + AHEAD - timedelta(seconds=5)
    assert (await api.post({**BODY, "created_at": ahead.isoformat()})).status_code == 202


async def test_content_of_more_than_its_limit_is_too_large(api: Api) -> None:
    attributes = {f"a{number}": "😀" * 1000 for number in range(64)}
    larger = json.dumps({**BODY, "text": "😀" * 200_000, "attributes": attributes}, ensure_ascii=False).encode()
    refused = problem(await api.post(larger), 413)
    assert (refused["code"], refused["title"]) == ("too_large", "PayloadTooLarge")
    assert await api.stored() == 0


async def test_content_is_never_accepted_that_the_router_would_then_set_aside(api: Api) -> None:
    """Written out with its defaults, content is longer than it came."""
    attributes = {f"a{number}": "😀" * 1000 for number in range(64)}
    minimal = {**BODY, "text": "😀" * 177_000, "attributes": attributes}
    size = len(json.dumps(minimal, ensure_ascii=False, separators=(",", ":")).encode())
    minimal["context"] = {"parent_text": "x" * (MAX_BYTES - size - 35)}
    body = json.dumps(minimal, ensure_ascii=False, separators=(",", ":")).encode()
    assert MAX_BYTES - 20 <= len(body) <= MAX_BYTES
    problem(await api.post(body), 413)
    assert await api.stored() == 0


@pytest.mark.parametrize("path", ["/v1/content", BATCH_PATH])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_of_ten_megabytes_is_cut_off(api: Api, path: str, chunked: bool) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 65_536
            yield b" " * 65_536

    answer = await api.client.post(path, content=chunks() if chunked else b" " * 10 * 1024 * 1024)
    problem(answer, 413)
    if chunked:
        assert sent <= LARGER[path] + 65_536


@pytest.mark.parametrize("length", ["-1", "abc", "1e3"])
async def test_a_length_that_is_no_number_is_refused(api: Api, length: str) -> None:
    request = api.client.build_request("POST", "/v1/content", content=b"{}")
    request.headers["content-length"] = length
    assert (await api.client.send(request)).status_code == 413


async def test_who_may_send_content(api: Api) -> None:
    reviewer = await api.keys.create("anna", "reviewer")
    revoked = await api.keys.create("old", "upstream")
    await api.keys.revoke(revoked[3:11])
    admin = await api.keys.create("root", "admin")
    good = api.client.headers.pop("Authorization").removeprefix("Bearer ")
    tampered = good[:-1] + ("a" if good[-1] != "a" else "b")
    for method, path in [("POST", "/v1/content"), ("POST", BATCH_PATH), ("DELETE", "/v1/content/forum/a")]:
        for value, status in [
            (None, 401), ("Bearer nonsense", 401), (f"Bearer {tampered}", 401), (f"Bearer {revoked}", 401),
            (f"Basic {good}", 401), ("Bearer", 401), ("Bearer é", 401), (f"Bearer {reviewer}", 403),
        ]:  # fmt: skip
            headers = [(b"Authorization", value.encode())] if value else None
            answer = await api.client.request(method, path, content=json.dumps(BODY), headers=headers)
            problem(answer, status)
            assert ("www-authenticate" in answer.headers) is (status == 401)
    assert await api.stored() == 0
    assert (await api.post(BODY, Authorization=f"Bearer {admin}")).status_code == 202


async def test_withdrawals_reach_the_bus_and_close_the_review(api: Api) -> None:
    await api.world.in_force(model=FakeModel())
    await api.post({**BODY, "content_id": "a/b//c?d", "text": "unsure"})
    url = "/v1/content/forum/a/b//c%3Fd?reason=deleted"
    answer = await api.client.delete(url, headers={"traceparent": TRACE})
    assert answer.status_code == 202
    (event,) = await api.world.events(ContentWithdrawn)
    at = event.withdrawn_at.isoformat().replace("+00:00", "Z")
    told = {"source": "forum", "content_id": "a/b//c?d", "withdrawn_at": at, "known": True, "detail": "withdrawn"}
    assert answer.json() == told
    assert (event.key, event.reason) == ("forum/a/b//c?d", "deleted")
    await api.world.route()
    (cancelled,) = await api.world.events(ReviewCancelled)
    assert (cancelled.key, cancelled.why) == ("forum/a/b//c?d", "withdrawn")
    assert (await api.world.records("review.requested"))[-1].headers["traceparent"] == TRACE


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/content/Forum/a", "source"),
        ("/v1/content/forum/", "content_id"),
        ("/v1/content/forum/a%20b", "content_id"),
        ("/v1/content/forum/a%00b", "content_id"),
        (f"/v1/content/forum/{'x' * 257}", "content_id"),
        ("/v1/content/forum/a?reason=%00", "reason"),
        (f"/v1/content/forum/a?reason={'x' * 1001}", "reason"),
    ],
)
async def test_a_bad_withdrawal_is_refused_by_field(api: Api, path: str, field: str) -> None:
    refused = problem(await api.client.delete(path), 422)
    assert [error["field"] for error in refused["errors"]] == [field]
    assert await api.stored() == 0
