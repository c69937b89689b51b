"""No value of a field or parameter, however odd, is a fault of the service: each is accepted or refused with a reason.

`tests/acceptance/test_every_route.py` draws values at random; these are known to break programs.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from secondlook.common.observability import Health
from secondlook.common.service.api_keys import ApiKeys
from secondlook.router.api import create_router_app
from secondlook.router.submissions import Submissions
from tests.integration.review_world import World
from tests.integration.router_world import AHEAD, make_world

ENDLESS = {"/v1/events", "/v1/decisions/stream"}  # streams
IN_JSON = [
    r'"\u0000"', r'"\ud800"', r'"\udfff\ud800"', '"\u202e\ufeff"', '""', "1e400", "-1e400", "NaN", "Infinity",
    str(2**63), str(-(2**63) - 1), "9" * 5000, "0.1", "true", "null", "[]", "{}", "[[" * 400 + "]]" * 400,
    '{"\\u0000": "\\ud800"}', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2026-02-30T00:00:00Z"',
    '"00000000-0000-0000-0000-000000000000"', '["\\u0000", {}]',
]  # fmt: skip
IN_ADDRESS = [
    "%00",
    "%ED%A0%80",
    "%FF",
    "%0A",
    "9" * 500,
    str(2**63),
    "-1",
    "NaN",
    "1e400",
    "%2e%2e",
    "a%2Fb",
    "\u202e",
    "0001-01-01T00:00:00%2B23:59",
    "9999-12-31T23:59:59-23:59",
]
SAMPLES = {"string": '"a"', "integer": "1", "number": "0.5", "boolean": "true", "array": "[]", "object": "{}"}


async def test_the_reviewer_api_refuses_or_takes_every_value(database_url: str) -> None:
    async with World.open(database_url) as world:
        await sent(world.api.app, await world.key("admin"))


async def test_the_router_refuses_or_takes_every_value(database_url: str) -> None:
    async with make_world(database_url) as world:
        keys = ApiKeys(world.database, world.clock)
        submissions = Submissions(world.transactions, world.clock, world.metrics, AHEAD)
        await sent(
            create_router_app(submissions, keys, Health(), world.registry, world.reports()),
            await keys.create("all", "admin"),
        )


async def sent(app: FastAPI, key: str) -> None:
    """Send every request, and look at every answer."""
    faults = []
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Origin": "http://service"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client:
        for method, address, body in requests(app.openapi()):
            answer = await client.request(method, address, content=body)
            if answer.status_code >= 500:
                faults.append(f"{answer.status_code} {method} {address[:200]} {(body or '')[:200]}")
    assert not faults, "\n".join(faults)


def requests(document: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Each operation with one odd value at a time, all else as plain as can be."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path in ENDLESS:
                continue
            plain = re.sub(r"{[^}]+}", "a", path)
            given = operation.get("parameters", ())
            for name in [one["name"] for one in given if one["in"] == "query"]:
                yield from ((method, f"{plain}?{name}={quote(odd, safe='%')}", None) for odd in IN_ADDRESS)
            for name in [one["name"] for one in given if one["in"] == "path"]:
                for odd in IN_ADDRESS:
                    yield method, re.sub(r"{[^}]+}", "a", path.replace(f"{{{name}}}", quote(odd, safe="%"))), None
            content = operation.get("requestBody", {}).get("content", {})
            for media in content.values():
                for body in bodies(document, media["schema"]):
                    yield method, re.sub(r"{[^}]*_id}", "00000000-0000-0000-0000-000000000000", path), body


def bodies(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Odd values as the whole body, and in place of each of its fields."""
    yield from IN_JSON
    fields = resolved(document, schema).get("properties", {})
    plain = {name: sample(document, field) for name, field in fields.items()}
    for name in fields:
        for odd in IN_JSON:
            yield "{" + ", ".join(f'"{each}": {value}' for each, value in {**plain, name: odd}.items()) + "}"


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference names, or the first of several."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return resolved(document, schema["anyOf"][0]) if "anyOf" in schema else schema


def sample(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """A plain value, as JSON."""
    found = resolved(document, schema)
    if "enum" in found:
        return f'"{found["enum"][0]}"'
    if found.get("format") == "uuid":
        return '"00000000-0000-0000-0000-000000000000"'
    if found.get("format") == "date-time":
        return '"2026-01-01T00:00:00Z"'
    return SAMPLES.get(found.get("type", ""), '"a"')
