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
from secondlook.common.migrate import migrate_schemas
from secondlook.common.observability import Health
from secondlook.common.schemas import BUS, COMMON, KERNEL
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.http import create_app
from secondlook.router.api import BATCH_PATH, routes
from secondlook.router.submissions import MAX_LINES, Submissions
from tests.integration.router_world import AHEAD, make_world
from tests.integration.test_router_api import BODY, TRACE, Api, api, problem

__all__ = ["api"]


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
    records = await api.world.records(ContentSubmitted.topic)
    assert sorted(record.key for record in records) == ["forum/a", "forum/c", "forum/g"]
    assert {record.headers["traceparent"] for record in records} == {TRACE}
    assert api.world.counted("ingest_accepted_total") == 3


@pytest.mark.parametrize("body", [b"", b"\n\n \n"])
async def test_a_batch_of_nothing_accepts_nothing(api: Api, body: bytes) -> None:
    assert (await api.post(body, BATCH_PATH)).json() == {"accepted": 0, "refused": []}


async def test_a_batch_of_too_many_lines_is_refused_whole(api: Api) -> None:
    body = b"".join(line(f"c{number}") + b"\n" for number in range(MAX_LINES))
    assert (await api.post(body, BATCH_PATH)).json() == {"accepted": MAX_LINES, "refused": []}
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
