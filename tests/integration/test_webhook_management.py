"""Webhooks as their owners and admins make, test and remove them: whose they are, where they may go, the commands."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.integration.cli_world import Ran, secondlook
from tests.integration.process_world import started
from tests.integration.review_world import World, code_of, fields_of
from tests.integration.test_router_process import answered
from tests.integration.webhook_world import (
    decided,
    dispatching,
    make,
    publish,
    settled,
    upstream,
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url, webhook_private_targets=True) as world:
        world.clock.time = datetime.now(UTC)
        yield world


async def test_the_test_button(world: World) -> None:
    async with upstream() as server:
        webhook, secret = await make(world, server.url)
        answer = (await world.call("POST", f"/webhooks/{webhook}/test", role="service")).json()
        assert (answer["arrived"], answer["status"]) == (True, 204)
        Webhook(secret)  # the clock of this world stands still: the signature is checked by its own
        assert json.loads(server.received[0].body)["type"] == "webhook.test"
    answer = (await world.call("POST", f"/webhooks/{webhook}/test", role="service")).json()
    assert (answer["arrived"], answer["status"]) == (False, None)
    assert "Connect" in answer["problem"]


async def test_which_decisions_and_from_where(world: World) -> None:
    await publish(world, decided("before"))
    async with upstream() as server, dispatching(world):
        feed = (await world.call("GET", "/decisions/feed", role="service")).json()["next"].split("-")[0]
        some_of_it, _ = await make(world, server.url + "/shop", sources=["shop"], labels=["hate"])
        all_of_it, _ = await make(world, server.url + "/all", after=f"{feed}-0")
        await publish(world, decided("a"), decided("b", source="shop"), decided("c", source="shop", labels=("hate",)))
        await settled(world, some_of_it)
        await settled(world, all_of_it)
        found = sorted((one.path, one.data["content_id"]) for one in server.received)
    assert found == [("/hook/all", name) for name in ("a", "b", "before", "c")] + [("/hook/shop", "c")]


async def test_whose_webhook_it_is(world: World) -> None:
    webhook, _ = await make(world, "http://127.0.0.1:9/x")
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/secret"), ("POST", "/test"), ("GET", "/deliveries"),
        ("POST", "/replay"),
    ):  # fmt: skip
        body: Any = {} if method in ("POST", "PATCH") else None
        answer = await world.call(method, f"/webhooks/{webhook}{path}", body, role="service", name="another")
        assert code_of(answer) == "404", (method, path)
    assert (await world.call("GET", "/webhooks", role="service", name="another")).json() == {"webhooks": []}
    [mine] = (await world.call("GET", "/webhooks", role="admin")).json()["webhooks"]
    assert "secret" not in json.dumps(mine)
    world.keys["bound"] = await world.api.keys.create("bound", "service", ["shop"])
    refused = await world.call(
        "POST", "/webhooks", {"url": "http://127.0.0.1:9/x", "sources": ["forum"]}, role="service", name="bound"
    )
    assert code_of(refused).startswith("403")
    bound = await world.call("POST", "/webhooks", {"url": "http://127.0.0.1:9/x"}, role="service", name="bound")
    assert bound.json()["webhook"]["sources"] == ["shop"]
    assert (await world.call("DELETE", f"/webhooks/{webhook}", role="service")).status_code == 204
    assert code_of(await world.call("GET", f"/webhooks/{webhook}", role="service")) == "404"


async def test_nothing_is_sent_for_a_key_that_was_revoked(world: World) -> None:
    async with upstream() as server, dispatching(world):
        webhook, _ = await make(world, server.url)
        await world.api.keys.revoke(world.keys["service"].split("_")[1])
        await asyncio.sleep(1.5)
        await publish(world, decided("a"))
        await asyncio.sleep(0.5)
        assert server.received == []
        found = await world.call("GET", f"/webhooks/{webhook}", role="admin")
        assert "revoked" in found.json()["disabled_why"]


async def test_where_it_may_not_go(database_url: str) -> None:
    async with World.open(database_url) as world:
        for url in (
            "http://example.org/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.0.0.1/x",
            "ftp://a/",
            "x",
        ):
            answer = await world.call("POST", "/webhooks", {"url": url}, role="service")
            assert fields_of(answer) == {"url"}, url
        assert (
            await world.call("POST", "/webhooks", {"url": "https://example.org/"}, role="service")
        ).status_code == 201


@pytest.mark.slow
async def test_the_commands(database_url: str, port: int, tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{port}"
    await secondlook(database_url, "migrate")
    made = await secondlook(database_url, "keys", "create", "forum", "--role", "service")
    environment = {"SECONDLOOK_API_URL": api, "SECONDLOOK_API_KEY": made.out.strip()}

    async def webhooks(*arguments: str) -> Ran:
        return await secondlook(database_url, "webhooks", *arguments, "--data-dir", tmp_path, **environment)

    assert "does not answer" in (await webhooks("list")).err
    async with (
        started("reviewer_api", database_url, port, SECONDLOOK_WEBHOOK_PRIVATE_TARGETS="true"),
        httpx.AsyncClient(base_url=api) as client,
        upstream() as server,
    ):
        await answered(client, "/readyz", 200)
        assert "no webhooks" in (await webhooks("list")).err + (await webhooks("list")).out
        secret = (await webhooks("add", server.url, "--label", "spam", "--description", "forum")).out.strip()
        listed = (await webhooks("list")).out
        webhook = listed.splitlines()[1].split()[0]
        assert "enabled" in listed
        assert secret not in listed
        assert "arrived" in (await webhooks("test", webhook)).out
        Webhook(secret).verify(server.received[0].body, server.received[0].headers)
        assert (await webhooks("deliveries", webhook)).status == 0
        assert (await webhooks("rotate", webhook)).out.startswith("whsec_")
        assert "disabled: by hand" in (await webhooks("change", webhook, "--disable")).out
        assert (await webhooks("replay", webhook)).out.strip() == "0 will be sent again"
        await server.endpoint.stop()
        unheard = await webhooks("test", webhook)
        assert (unheard.status, "Connect" in unheard.out) == (1, True)
        refused = await webhooks("add", "ftp://forum/")
        assert (refused.status, "is not an http or https URL" in refused.err) == (2, True)
        assert "removed" in (await webhooks("remove", webhook)).out
        assert (await webhooks("deliveries", webhook)).status == 2
