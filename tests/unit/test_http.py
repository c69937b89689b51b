"""What every service's HTTP side does with bodies that do not arrive, or cannot be read."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from structlog.testing import capture_logs

from secondlook.common.observability import Health
from secondlook.common.service.http import create_app


class Thing(BaseModel, extra="forbid"):
    number: int = 0


@pytest.fixture
def app() -> FastAPI:
    app = create_app("test", Health(), CollectorRegistry())

    @app.post("/read-by-the-framework")
    async def framework(thing: Thing) -> Thing:
        return thing

    @app.post("/read-by-the-route")
    async def route(request: Request) -> int:
        return len(await request.body())

    @app.post("/fault")
    async def fault() -> int:
        raise ValueError("a fault of the service")

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("path", ["/read-by-the-framework", "/read-by-the-route"])
async def test_a_client_that_goes_away_is_one_line_in_the_log(app: FastAPI, path: str) -> None:
    messages = [{"type": "http.request", "body": b'{"num', "more_body": True}, {"type": "http.disconnect"}]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"100")],
    }  # fmt: skip

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        """Nobody is there."""

    with capture_logs() as lines:
        await app(scope, receive, send)  # nothing is raised, so the server has nothing to log either
    assert lines == [{"event": "client disconnected", "log_level": "info", "method": "POST", "path": path}]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"number": ', "Invalid JSON: Expecting value at position 11"),
        (b'{"number": ' + b"[" * 100_000, "Invalid JSON: nested too deep"),
        (b'{"number": ' + b"9" * 5000 + b"}", "Invalid JSON: a number is too long"),
        (b'{"number": "\xff"}', "Invalid JSON: it is not UTF-8"),
    ],
)
async def test_a_body_that_is_no_json_is_malformed(client: httpx.AsyncClient, body: bytes, problem: str) -> None:
    answer = await client.post("/read-by-the-framework", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/malformed", "title": "InvalidInput", "status": 422, "detail": problem, "code": "malformed",
        "errors": [{"field": "", "problem": problem}], "error_count": 1,
    }  # fmt: skip


async def test_a_field_that_breaks_the_contract_is_invalid_not_malformed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/read-by-the-framework", json={"number": "x"})
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["field"]) == (
        422,
        "invalid",
        "number",
    )


async def test_half_a_surrogate_pair_in_a_name_is_answered(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/read-by-the-framework", content=b'{"\\ud800": 1}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_fault_is_still_logged_as_one(client: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        answer = await client.post("/fault")
    assert answer.status_code == 500
    assert [line["log_level"] for line in lines] == ["error"]
