"""Reports over HTTP: what is accepted will count, once, and what is refused says why."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from secondlook.common.contract.events import ReviewRequested
from secondlook.common.contract.reports import ContentReported
from secondlook.common.observability import Health
from secondlook.common.service.api_keys import ApiKeys
from secondlook.router.api import create_router_app
from secondlook.router.submissions import Submissions
from tests.integration.router_world import AHEAD, FakeModel, World, content, make_world
from tests.integration.test_router_reports import POLICY, RULE

BODY = {"report_id": "r1", "reporter": "u1", "reason": "spam", "note": "sells pills"}
PATH = "/v1/content/forum/post/1/reports"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(POLICY % RULE, FakeModel(labels=("spam", "threat")))
        yield world


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    keys = ApiKeys(world.database, world.clock)
    submissions = Submissions(world.transactions, world.clock, world.metrics, AHEAD)
    app = create_router_app(submissions, keys, Health(), world.registry, world.reports())
    key = await keys.create("forum", "upstream", sources=["forum"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://router", headers=headers) as client:
        yield client


async def test_a_report_is_accepted_published_and_counted_once(api: httpx.AsyncClient, world: World) -> None:
    first = await api.post(PATH, json=BODY)
    assert first.status_code == 202
    assert first.json() == {
        "source": "forum", "content_id": "post/1", "report_id": "r1", "known": False,
        "detail": "nothing of the content is known yet; the report is kept until it comes",
    }  # fmt: skip
    again = await api.post(PATH, json=BODY)
    assert (again.status_code, again.json()["detail"]) == (202, "accepted before")
    (event,) = await world.events(ContentReported)
    assert (event.key, event.reporter, event.note) == ("forum/post/1", "u1", "sells pills")
    await world.route(content("post/1"), event)
    assert (await api.post(PATH, json=BODY)).json()["known"] is True
    for number in (2, 3):
        await api.post(PATH, json={**BODY, "report_id": f"r{number}", "reporter": f"u{number}"})
    await world.route()
    assert len(await world.events(ReviewRequested)) == 1
    assert world.counted("reports_total", result="kept") == 3
    assert await world.dead_letters() == []


@pytest.mark.parametrize("changed", [{"reason": "hate"}, {"reporter": "u2"}, {"note": None}])
async def test_an_id_is_one_report_also_beside_what_came_over_the_bus(
    api: httpx.AsyncClient, world: World, changed: dict[str, Any]
) -> None:
    for number, come in enumerate((True, False)):
        body = {**BODY, "report_id": f"r{number}"}
        await api.post(PATH, json=body)
        if come:
            await world.route()
        answer = await api.post(PATH, json={**body, **changed})
        assert (answer.status_code, answer.json()["code"]) == (409, "report_reused")
        assert "report_id" in answer.json()["errors"][0]["field"]
    other = await api.post("/v1/content/forum/other/reports", json={**BODY, "report_id": "r0"})
    assert other.json()["code"] == "report_reused"


@pytest.mark.parametrize(
    "wrong",
    [
        {"report_id": ""}, {"report_id": "a b"}, {"report_id": "x" * 129}, {"reporter": ""}, {"reporter": "\x00"},
        {"reason": ""}, {"reason": "x" * 101}, {"note": "x" * 2001}, {"note": "\ud800"}, {"reporter": None},
        {"reported_at": "2999-01-01T00:00:00Z"}, {"report_id": 1},
    ],
)  # fmt: skip
async def test_bad_reports_are_refused_with_the_field(
    api: httpx.AsyncClient, world: World, wrong: dict[str, Any]
) -> None:
    sent, kind = json.dumps({**BODY, **wrong}).encode(), {"Content-Type": "application/json"}
    answer = await api.post(PATH, content=sent, headers=kind)
    assert answer.status_code == 422, answer.text
    assert [problem["field"] for problem in answer.json()["errors"]] == list(wrong)
    assert await world.events(ContentReported) == []


async def test_a_key_reports_content_of_its_own_sources_only(api: httpx.AsyncClient, world: World) -> None:
    answer = await api.post("/v1/content/shop/1/reports", json=BODY)
    assert answer.status_code == 403
    assert await world.events(ContentReported) == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM report") == 0
