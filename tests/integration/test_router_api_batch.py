"""Batches of content, operations routes, and an API whose database is away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn
from secondlook.common.errors import LISTED
from secondlook.common.migrate import migrate_schemas
from secondlook.common.observability import Health
from secondlook.common.schemas import BUS, COMMON, KERNEL
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.http import create_app
from secondlook.router.api import BATCH_PATH, routes
from secondlook.router.submissions import MAX_LINES, WAITING, Submissions
from tests.integration.router_world import AHEAD, make_world
from tests.integration.test_router_api import BODY, TRACE, Api, api, problem

__all__ = ["api"]

NOTHING = {"accepted": 0, "refused_count": 0, "refused": [], "refused_lines": {}}


@pytest.fixture
async def opened() -> AsyncIterator[contextlib.AsyncExitStack]:
    """What a test opens and cannot close itself."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


def line(content_id: str, **more: Any) -> bytes:
    return json.dumps({**BODY, "content_id": content_id, **more}).encode()


async def test_good_lines_are_accepted_and_bad_ones_named_by_number(api: Api) -> None:
    lines = [
        line("a"), b"", line("b", revision=0), b"{", line("c"), b"   ", line("d", text="\x00"), b"\xff",
        line("e", created_at="2999-01-01T00:00:00Z"), line("f", text="x" * 3_200_000), line("g"),
    ]  # fmt: skip
    answer = await api.post(b"\n".join(lines) + b"\r\n", BATCH_PATH, traceparent=TRACE)
    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 3
    assert [(refused["line"], refused["code"]) for refused in body["refused"]] == [
        (3, "invalid"), (4, "malformed"), (7, "invalid"), (8, "malformed"), (9, "invalid"), (10, "too_large"),
    ]  # fmt: skip
    assert [refused["errors"][0]["field"] for refused in body["refused"]] == [
        "revision", "", "text", "", "created_at", "",
    ]  # fmt: skip
    assert body["refused_count"] == 6
    assert body["refused_lines"] == {"invalid": "3,7,9", "malformed": "4,8", "too_large": "10"}
    records = await api.world.records(ContentSubmitted.topic)
    assert sorted(record.key for record in records) == ["forum/a", "forum/c", "forum/g"]
    assert {record.headers["traceparent"] for record in records} == {TRACE}
    assert api.world.counted("ingest_accepted_total") == 3


async def test_many_bad_lines_are_all_numbered_and_the_first_explained(api: Api) -> None:
    bad = [b"{", b'{"colour": "red"}', line("x", revision=0)]
    lines = [line("first"), *(bad[number % 3] for number in range(9_000)), line("last")]
    answer = await api.post(b"\n".join(lines), BATCH_PATH)
    body = answer.json()
    assert (body["accepted"], body["refused_count"]) == (2, 9_000)
    assert [refused["line"] for refused in body["refused"]] == list(range(2, 2 + LISTED))
    malformed = body["refused_lines"]["malformed"]
    assert [int(number) for number in malformed.split(",")] == list(range(2, 9_002, 3))
    assert body["refused_lines"]["invalid"].startswith("3-4,6-7,")
    assert body["refused"][1]["error_count"] == len(body["refused"][1]["errors"]) == 6
    assert len(answer.content) < len(b"\n".join(lines))


async def test_a_wide_line_costs_only_itself(api: Api) -> None:
    wide = line("a", attributes={f"a{number}": [] for number in range(18_000)})
    body = (await api.post(b"\n".join([wide, line("b"), wide]), BATCH_PATH)).json()
    assert (body["accepted"], body["refused_lines"]) == (1, {"invalid": "1,3"})
    assert {refused["error_count"] for refused in body["refused"]} == {1}


async def test_other_requests_are_answered_while_batches_are_read(api: Api) -> None:
    body = b"\n".join([b'{"colour": "red"}'] * 3_000)
    batches = [asyncio.create_task(api.post(body, BATCH_PATH)) for _ in range(3)]
    answered = 0
    while not all(batch.done() for batch in batches):
        assert (await api.client.get("/healthz")).status_code == 200
        answered += 1
        await asyncio.sleep(0)  # nothing of this client's way to the application waits for anything
    assert answered > 50
    assert {batch.result().json()["refused_count"] for batch in batches} == {3_000}


async def test_more_batches_than_may_wait_are_put_off(api: Api) -> None:
    body = b"\n".join([b'{"colour": "red"}'] * 3_000)
    sending = [asyncio.create_task(api.post(body, BATCH_PATH)) for _ in range(WAITING + 5)]
    for answering in asyncio.as_completed(sending):
        answer = await answering
        if answer.status_code != 202:
            break
    assert (problem(answer, 503)["type"], answer.headers["retry-after"]) == ("/problems/busy", "1")
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)


@pytest.mark.parametrize("body", [b"", b"\n\n \n"])
async def test_a_batch_of_nothing_accepts_nothing(api: Api, body: bytes) -> None:
    assert (await api.post(body, BATCH_PATH)).json() == NOTHING


async def test_a_batch_of_too_many_lines_is_refused_whole(api: Api) -> None:
    body = b"".join(line(f"c{number}") + b"\n" for number in range(MAX_LINES))
    assert (await api.post(body, BATCH_PATH)).json() == {**NOTHING, "accepted": MAX_LINES}
    problem(await api.post(body + line("one-more") + b"\n", BATCH_PATH), 413)
    assert await api.stored() == MAX_LINES


async def test_unknown_routes_and_methods_are_problems(api: Api) -> None:
    problem(await api.client.get("/v1/nothing"), 404)
    answer = await api.client.put("/v1/content", content=b"{}")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


async def test_operations_routes_need_no_key(api: Api) -> None:
    del api.client.headers["Authorization"]
    assert (await api.client.get("/healthz")).json() == {"status": "ok"}
    assert (await api.client.get("/readyz")).json() == {"ready": True, "reasons": {}}
    api.health.unready("stream:router", "the database is away")
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "reasons": {"stream:router": "the database is away"}}
    metrics = await api.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "secondlook_router_ingest_accepted_total 0.0" in metrics.text


async def test_every_reference_of_the_openapi_document_leads_somewhere(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()

    def check(part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                check(item)
        elif isinstance(part, dict):
            target = document
            for step in part.get("$ref", "#").split("/")[1:]:
                target = target[step]
            for value in part.values():
                check(value)

    check(document)
    schema = document["paths"]["/v1/content"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "parent_text" in schema["properties"]["context"]["properties"]
    assert set(schema["required"]) == {"source", "content_id", "revision", "text", "created_at"}


async def test_a_body_that_the_framework_reads_is_cut_off_with_413_too() -> None:
    class Small(BaseModel):
        text: str

    app = create_app("test", Health(), CollectorRegistry())

    @app.post("/echo")
    async def echo(body: Small) -> Small:
        return body

    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        problem(await client.post("/echo", content=chunks()), 413)
        assert (await client.post("/echo", json={"text": "x"})).json() == {"text": "x"}


async def test_a_connection_that_dies_before_the_commit_is_a_503_and_nothing_is_stored(api: Api) -> None:
    pool = api.world.database.pool
    async with pool.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT 1 FROM bus.partition FOR UPDATE")
        sending = asyncio.create_task(api.post(BODY))
        ended = False

        async def end() -> None:
            nonlocal ended
            while not ended:
                ended = await pool.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' LIMIT 1"
                )

        await asyncio.wait_for(end(), 5)
        answer = await sending
    problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert await api.stored() == 0
    assert (await api.post(BODY)).status_code == 202


async def test_a_database_that_is_down_is_a_503_until_it_is_back(
    tmp_path: Path, opened: contextlib.AsyncExitStack
) -> None:
    data = tmp_path / "data"
    with embedded_postgres(data) as server:
        url = server.url
        await migrate_schemas(url, {"bus": [BUS]})
        await migrate_schemas(url, {"router": [KERNEL, COMMON.parent / "router" / "migrations"]})
        world = await opened.enter_async_context(make_world(url))
        keys = ApiKeys(world.database, world.clock)
        key = await keys.create("forum", "upstream")
    app = create_app("router", Health(), world.registry)
    app.include_router(routes(Submissions(world.transactions, world.clock, world.metrics, AHEAD), keys))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://router", headers=headers) as client:
        for method, path in [("POST", "/v1/content"), ("POST", BATCH_PATH), ("DELETE", "/v1/content/forum/a")]:
            problem(await client.request(method, path, content=json.dumps(BODY)), 503)
        assert (await client.get("/healthz")).status_code == 200
        with embedded_postgres(data):
            assert await world.records(ContentSubmitted.topic) == []
            assert (await client.post("/v1/content", json=BODY)).status_code == 202
            assert (await client.delete("/v1/content/forum/a")).status_code == 202
            assert len(await world.events(ContentSubmitted, ContentWithdrawn)) == 2
