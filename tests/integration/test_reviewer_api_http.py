"""Who may call what, and what a bad request is told."""

import itertools
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from secondlook.common.service.permissions import Role
from tests.integration.review_world import POLICY, World, fields_of, requested

TASK = f"/review/tasks/{uuid4()}/decision"
VERDICT = {"lease_token": str(uuid4()), "outcome": "reject", "labels": ["spam"]}
BAD: list[tuple[str, Any, set[str]]] = [
    ("/review/claims", {"limit": 0}, {"limit"}),
    ("/review/claims", {"limit": 51}, {"limit"}),
    ("/review/claims", {"limit": "five"}, {"limit"}),
    ("/review/claims", {"limit": True}, {"limit"}),
    ("/review/claims", {"queue": "No Such\x00"}, {"queue"}),
    ("/review/claims", {"count": 5}, {"count"}),
    ("/review/claims", [], {""}),
    (TASK, {**VERDICT, "lease_token": "x"}, {"lease_token"}),
    (TASK, {**VERDICT, "outcome": "maybe"}, {"outcome"}),
    (TASK, {**VERDICT, "outcome": None, "labels": "spam"}, {"outcome", "labels"}),
    (TASK, {**VERDICT, "labels": [1]}, {"labels.0"}),
    (TASK, {**VERDICT, "labels": []}, {"labels"}),
    (TASK, {**VERDICT, "outcome": "approve"}, {"labels"}),
    (TASK, {**VERDICT, "note": "a\x00b"}, {"note"}),
    (TASK, {**VERDICT, "note": "x" * 2001}, {"note"}),
    (TASK, {**VERDICT, "notes": "x"}, {"notes"}),
    (TASK, {"labels": []}, {"lease_token", "outcome"}),
    ("/review/tasks/7/decision", VERDICT, {"task_id"}),
    ("/decisions/7/undo", None, {"decision_id"}),
]
BAD_READS = [
    ("/content/forum/never-seen", 404),
    ("/content/Forum/a", 422),
    ("/content/forum/%00", 422),
    ("/decisions?limit=0", 422),
    ("/decisions?limit=201", 422),
    ("/decisions?outcome=maybe", 422),
    ("/decisions?decided_by=%00", 422),
    ("/decisions?source=a%00", 422),
    (f"/decisions?after={uuid4()}", 422),
    ("/nothing", 404),
]
ALLOWED: list[tuple[str, str, Any, set[Role]]] = [
    ("POST", "/review/claims", {}, {"reviewer", "lead", "admin"}),
    ("POST", "/review/claims", {"queue": "leads"}, {"lead", "admin"}),
    ("GET", "/queues", None, {"reviewer", "lead", "admin"}),
    ("GET", "/policies/active", None, {"reviewer", "lead", "admin"}),
    ("GET", "/policies", None, {"reviewer", "lead", "admin"}),
    ("POST", "/policies", {"document": POLICY}, {"lead", "admin"}),
    ("GET", "/decisions", None, {"reviewer", "lead", "admin", "upstream"}),
    ("GET", "/content/forum/a", None, {"reviewer", "lead", "admin", "upstream"}),
]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def test_a_bad_request_is_told_each_field(world: World) -> None:
    for path, body, named in BAD:
        assert fields_of(await world.call("POST", path, body)) == named, (path, body)


@pytest.mark.parametrize("field", ["note", "labels"])
async def test_half_a_surrogate_pair_is_refused(world: World, field: str) -> None:
    value = '["\\ud800"]' if field == "labels" else '"\\ud800"'
    raw = f'{{"lease_token": "{uuid4()}", "outcome": "reject", "{field}": {value}}}'
    headers = {"Authorization": f"Bearer {await world.key('reviewer')}", "Content-Type": "application/json"}
    answer = await world.client.post(TASK, content=raw, headers=headers)
    assert {name.partition(".")[0] for name in fields_of(answer)} == {field}


async def test_an_unknown_label_is_named_and_the_item_stays_held(world: World) -> None:
    await world.request(requested("a"))
    [task] = await world.claim()
    answer = await world.act(task, "decision", outcome="reject", labels=["spam", "spma"])
    assert fields_of(answer) == {"labels"}
    assert "spma" in answer.json()["detail"]
    await world.reject(task, "spam")


async def test_an_unknown_queue_is_not_found(world: World) -> None:
    assert (await world.call("POST", "/review/claims", {"queue": "defualt"})).status_code == 404


async def test_a_body_of_two_megabytes_is_refused(world: World) -> None:
    answer = await world.call("POST", TASK, {**VERDICT, "note": "x" * 2_000_000})
    assert answer.status_code == 413


async def test_an_unknown_key_is_unauthenticated(world: World) -> None:
    keys = [None, "", "sl_00000000_" + "x" * 32, "Ω", "sl_\x7f"]
    reads = [("POST", "/review/claims"), ("GET", "/queues"), ("GET", "/content/forum/a")]
    for key, (method, path) in itertools.product(keys, reads):
        headers = {} if key is None else {b"Authorization": f"Bearer {key}".encode()}
        answer = await world.client.request(method, path, headers=headers, json={} if method == "POST" else None)
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_is_unauthenticated(world: World) -> None:
    key = await world.key("reviewer")
    assert (await world.call("GET", "/queues")).status_code == 200
    await world.api.keys.revoke(key.split("_")[1])
    assert (await world.call("GET", "/queues")).status_code == 401


async def test_each_role_may_do_its_own(world: World) -> None:
    await world.request(requested("a"))
    roles: tuple[Role, ...] = ("upstream", "reviewer", "lead", "admin")
    for method, path, body, allowed in ALLOWED:
        found = {role: (await world.call(method, path, body, role=role)).status_code for role in roles}
        assert found == {role: 200 if role in allowed else 403 for role in roles}, path


async def test_a_bad_read_is_a_problem_document(world: World) -> None:
    for path, status in BAD_READS:
        answer = await world.call("GET", path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_every_route_is_described_with_its_problems(world: World) -> None:
    document = (await world.client.get("http://reviewer/openapi.json")).json()
    assert {"Problem", "ProblemField"} <= document["components"]["schemas"].keys()
    routes = [
        (path, route) for path, methods in document["paths"].items() if "/v1/" in path for route in methods.values()
    ]
    assert len(routes) >= 13
    for path, route in routes:
        assert route["summary"], path
        assert route["description"], path
        (status,) = (status for status in route["responses"] if status[0] in "23")
        if status not in ("204", "302") and path not in ("/v1/events", "/v1/decisions/stream"):
            assert route["responses"][status]["content"]["application/json"]["schema"].get("$ref"), path
        assert {"401", "403"} <= route["responses"].keys(), path
        if "422" in route["responses"]:
            assert "application/problem+json" in route["responses"]["422"]["content"], path
