"""Webhooks at a real endpoint: signed, at least once, in order a piece of content, and nobody held up by another."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bench.loopback_endpoint import Reply
from secondlook.common import breaker
from secondlook.common.clock import SystemClock
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.webhooks import endpoint, schedule, sender
from secondlook.reviewer_api.webhooks.dispatcher import Dispatcher
from tests.integration.review_world import World
from tests.integration.webhook_world import (
    Received,
    decided,
    dispatching,
    in_order,
    make,
    publish,
    settled,
    shown,
    some,
    upstream,
)
from tests.waiting import until

QUICK = (0.05, 0.1, 0.2)  # seconds between tries, and the rests of an endpoint


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "WAITS", QUICK)
    monkeypatch.setattr(breaker, "FIRST_REST", 0.05)
    monkeypatch.setattr(breaker, "LONGEST_REST", 0.2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt has half a second; elsewhere a busy machine must not make one fail."""
    for module in (sender, endpoint):
        monkeypatch.setattr(module, "SECONDS", 0.5)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url, webhook_private_targets=True) as world:
        world.clock.time = datetime.now(UTC)
        yield world


async def test_every_decision_arrives_signed_and_in_order(world: World) -> None:
    async with upstream() as server, dispatching(world):
        webhook, secret = await make(world, server.url)
        decisions = some(300, 20)
        for start in range(0, 300, 60):
            await publish(world, *decisions[start : start + 60])
        await settled(world, webhook)
        assert len(server.received) == 300
        in_order(server)
        for one in server.received:
            Webhook(secret).verify(one.body, one.headers)  # by the convention's own library
            assert json.loads(one.body)["type"] == "decision.published"
            assert one.headers["webhook-id"] == f"msg_{one.data['decision_id']}"
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(server.received[0].body.replace(b"spam", b"hate"), server.received[0].headers)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "wrong",
    [500, 404, 429, 302, 307, Reply(None), Reply(200, 1.0), Reply(None, 1.0)],
    ids=str,
)
async def test_what_does_not_arrive_is_sent_again(world: World, wrong: Any) -> None:
    """Errors, redirects, an answer after the time is over, a cut connection: at first for everything, then for none."""
    tries: dict[str, int] = {}

    def behave(one: Received) -> Any:
        tries[one.headers["webhook-id"]] = tries.get(one.headers["webhook-id"], 0) + 1
        return wrong if tries[one.headers["webhook-id"]] == 1 else 200

    async with upstream(behave) as server, dispatching(world):
        webhook, _ = await make(world, server.url)
        await publish(world, *some(12, 3))
        await settled(world, webhook)
        assert len(tries) == 12
        assert all(count >= 2 for count in tries.values())
        assert {one.path for one in server.received} == {"/hook"}, "no redirect is followed"
        in_order(server)
        deliveries = (await world.call("GET", f"/webhooks/{webhook}/deliveries", role="service")).json()["deliveries"]
        assert {one["state"] for one in deliveries} == {"delivered"}


async def test_a_dead_endpoint_gets_everything_when_it_is_back(world: World) -> None:
    async with upstream() as server, dispatching(world):
        webhook, _ = await make(world, server.url)
        await server.endpoint.stop()
        decisions = some(200, 10)
        await publish(world, *decisions)

        async def rests() -> bool:
            return (await shown(world, webhook))["resting_until"] is not None

        await until(rests)
        await server.endpoint.start()
        await settled(world, webhook)
        assert {one.data["decision_id"] for one in server.received} == {str(d.decision_id) for d in decisions}
        in_order(server)
        assert (await shown(world, webhook))["resting_until"] is None


@pytest.mark.usefixtures("impatient")
async def test_one_that_hangs_holds_up_nobody_else(world: World) -> None:
    async with upstream(lambda _: Reply(200, 60.0)) as slow, upstream() as good, dispatching(world):
        await make(world, slow.url)
        webhook, _ = await make(world, good.url)
        await publish(world, *some(100, 50))
        await settled(world, webhook)
        assert len(good.received) == 100


async def test_one_content_that_is_refused_holds_up_no_other(world: World) -> None:
    def behave(one: Received) -> int:
        return 500 if one.data["content_id"] == "bad" else 200

    async with upstream(behave) as server, dispatching(world):
        await make(world, server.url)
        await publish(world, decided("bad"), decided("bad", 1), *some(50, 10, "good"))
        await until(lambda: sum(one.data["content_id"] != "bad" for one in server.received) == 50)
        assert {one.data["sequence"] for one in server.received if one.data["content_id"] == "bad"} == {1024}


async def test_it_is_given_up_after_three_days_listed_and_replayed(world: World) -> None:
    behaviour = {"status": 500}
    async with upstream(lambda _: behaviour["status"]) as server, dispatching(world, world.clock):
        webhook, _ = await make(world, server.url)
        await publish(world, decided("a"), decided("a", 1))
        await until(lambda: bool(server.received))

        async def failed() -> bool:
            world.clock.turn(6 * 3600)
            return bool((await shown(world, webhook))["failed"] == 2)

        await until(failed, 30)
        behaviour["status"] = 200
        path = f"/webhooks/{webhook}/deliveries?state=failed"
        listed = (await world.call("GET", path, role="service")).json()["deliveries"]
        assert [(one["content_id"], one["position"]) for one in listed] == [("a", 2), ("a", 1)]
        assert listed[-1]["problem"]
        before = len(server.received)
        replayed = await world.call("POST", f"/webhooks/{webhook}/replay", {}, role="service")
        assert replayed.json() == {"deliveries": 2}
        await until(lambda: len(server.received) == before + 2)
        await settled(world, webhook)
        assert [one.data["sequence"] for one in server.received[before:]] == [1024, 1025]
        everything = await world.call(
            "POST", f"/webhooks/{webhook}/replay", {"failed": False, "since": 2}, role="service"
        )
        assert everything.json() == {"deliveries": 1}


async def test_gone_disables_it_and_enabling_goes_on(world: World) -> None:
    behaviour = {"status": 410}
    async with upstream(lambda _: behaviour["status"]) as server, dispatching(world):
        webhook, _ = await make(world, server.url)
        await publish(world, *some(5, 5))

        async def disabled() -> bool:
            return not (await shown(world, webhook))["enabled"]

        await until(disabled)
        assert "410" in (await shown(world, webhook))["disabled_why"]
        behaviour["status"] = 200
        before = len(server.received)
        await publish(world, *some(5, 5))
        await asyncio.sleep(0.5)
        assert len(server.received) == before
        world.clock.turn(1)
        await world.call("PATCH", f"/webhooks/{webhook}", {"enabled": True}, role="service")
        await settled(world, webhook)
        assert len({one.headers["webhook-id"] for one in server.received}) == 10


async def test_two_processes_send_nothing_twice_and_one_takes_over(world: World) -> None:
    async with upstream() as server:
        webhook, _ = await make(world, server.url)
        async with dispatching(world):
            async with dispatching(world):
                await publish(world, *some(100, 10, "a"))
                await settled(world, webhook)
            await publish(world, *some(100, 10, "b"))
            await settled(world, webhook)
        assert len(server.received) == 200
        in_order(server)


async def test_a_crash_repeats_at_most_what_was_under_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(lambda _: Reply(200, 0.01)) as server:
        webhook, _ = await make(world, server.url)
        await publish(world, *some(150, 15))
        for _ in range(4):
            dispatcher = Dispatcher(world.database, SystemClock(), ReviewerMetrics(CollectorRegistry()), private=True)
            running = asyncio.create_task(dispatcher.run())
            await asyncio.sleep(0.15)
            # A crash: nothing more is written, and nobody lets go of the webhook.
            with monkeypatch.context() as crash:
                crash.setattr(endpoint.Endpoint, "_write", _nothing)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await world.database.pool.execute("UPDATE webhook SET held_by = NULL")
        async with dispatching(world):
            await settled(world, webhook)
        assert len({one.headers["webhook-id"] for one in server.received}) == 150
        in_order(server)


async def _nothing(_: Any) -> None:
    pass


async def test_a_new_secret_and_the_old_one_are_both_valid_for_a_day(world: World) -> None:
    async with upstream() as server, dispatching(world):
        webhook, first = await make(world, server.url)
        rotated = (await world.call("POST", f"/webhooks/{webhook}/secret", role="service")).json()
        await asyncio.sleep(1.2)  # the endpoint reads its row once a second
        await publish(world, decided("a"))
        await settled(world, webhook)
        [one] = server.received
        assert len(one.headers["webhook-signature"].split()) == 2
        for secret in (first, rotated["secret"]):
            Webhook(secret).verify(one.body, one.headers)
        await world.database.pool.execute("UPDATE webhook SET old_until = now() - interval '1 s'")
        await asyncio.sleep(1.2)
        await publish(world, decided("b"))
        await settled(world, webhook)
        Webhook(rotated["secret"]).verify(server.received[1].body, server.received[1].headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(first).verify(server.received[1].body, server.received[1].headers)
