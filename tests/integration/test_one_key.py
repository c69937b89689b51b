"""One key opens every service: the reviewer API publishes the keys, and the router takes them from the bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import httpx
import pytest

from secondlook.common.bus import Message, Record
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.signatures.keeper import Keeper
from secondlook.common.bus.signatures.keyring import Keyring
from secondlook.common.bus.signatures.signed_bus import SignedBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import Unauthenticated
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.permissions import ROLES, Caller, Permission
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.accounts.keeper import agree
from secondlook.reviewer_api.accounts.keys import KeyService, id_of
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.access.keys import KnownKeys
from secondlook.router.highwater.marks import Marks
from tests.integration.process_world import started
from tests.integration.test_router_api import BODY
from tests.integration.test_router_process import answered
from tests.integration.test_state_records import SAFE
from tests.waiting import until

KEY, OTHER = "k" * 32, "x" * 32


@dataclass
class System:
    """The owner of the keys, and a router's view of them, over signed topics."""

    owner: KeyService
    transactions: Transactions
    own: ApiKeys
    known: KnownKeys
    bus: SignedBus

    async def admitted(self, key: str) -> Caller | None:
        try:
            return await self.known.authenticate(key)
        except Unauthenticated:
            return None

    async def heard(self, key: str, *, admitted: bool = True) -> None:
        async def so() -> bool:
            return (await self.admitted(key) is not None) == admitted

        await until(so)


@asynccontextmanager
async def system(database_url: str, *, keeps: bool = True) -> AsyncIterator[System]:
    async with (
        Database.open(database_url, "reviewer", size=4) as reviewer,
        Database.open(database_url, "router", size=4) as router,
    ):
        keyring, clock = Keyring((KEY,)), SystemClock()
        bus = SignedBus(PostgresBus(reviewer), keyring)
        await bus.ensure_topics(topics(1))
        transactions = Transactions(reviewer, bus, clock, "reviewer-api")
        owner, own = KeyService(transactions), ApiKeys(router, clock)
        known, marks, ready = KnownKeys(own, clock), Marks(router, checked=True), asyncio.Event()
        await marks.load()

        async def take(record: Record) -> None:
            await known.on_record(record)
            marks.note(record)

        router_bus = SignedBus(PostgresBus(router), keyring)
        tasks = [asyncio.create_task(router_bus.follow(KeysPublished.topic, take, ready.set, marks.behind))]
        if keeps:
            tasks.append(asyncio.create_task(Keeper(bus, KeysPublished.topic, partial(agree, owner)).run()))
        try:
            yield System(owner, transactions, own, known, bus)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_key_opens_the_router_with_its_role_and_its_sources(database_url: str) -> None:
    async with system(database_url) as world:
        key = await world.owner.create("forum", "service", ["forum"], None, "admin-1")
        await world.heard(key)
        caller = await world.known.authenticate(key)
        assert (caller.permissions, caller.sources) == (ROLES["service"], frozenset({"forum"}))
        people = await world.owner.create("ann", "moderator", (), None, "admin-1")
        await world.heard(people)
        assert not (await world.known.authenticate(people)).may(Permission.CONTENT_SUBMIT)


async def test_a_revoked_key_opens_nothing_also_where_the_router_has_its_own_row(database_url: str) -> None:
    async with system(database_url) as world:
        old = await world.own.create("forum", "upstream")
        assert await world.admitted(old), "made for the router alone, by an earlier version"
        assert await world.owner.adopt(await world.own.stored(), "admin-1") == 1
        assert await world.owner.adopt(await world.own.stored(), "admin-1") == 0
        await asyncio.sleep(0.5)
        assert await world.admitted(old)
        await world.owner.revoke(id_of(old), "admin-1")
        await world.heard(old, admitted=False)


async def test_no_other_secret_and_no_expired_key(database_url: str) -> None:
    async with system(database_url) as world:
        soon = world.transactions.clock.now() + timedelta(seconds=1.5)
        key = await world.owner.create("forum", "service", (), soon, "admin-1")
        await world.heard(key)
        prefix, number, secret = key.split("_", 2)
        for wrong in (
            f"{prefix}_{number}_{'A' * 32}", f"{prefix}_{number}_{secret[:-1]}", f"{prefix}_{'0' * 8}_{secret}",
            "", "sl_", f" {key}", f"{key}\n", "sl_" + "é" * 8 + "_" + secret,
        ):  # fmt: skip
            assert await world.admitted(wrong) is None, wrong
        await world.heard(key, admitted=False)


async def test_a_forged_list_is_refused_and_an_old_one_takes_nothing_back(database_url: str) -> None:
    async with system(database_url) as world:
        kept = await world.owner.create("kept", "service", (), None, "admin-1")
        await world.heard(kept)
        gone = await world.owner.create("gone", "service", (), None, "admin-1")
        await world.heard(gone)
        [before] = await world.bus.tail(KeysPublished.topic, 1)
        await world.owner.revoke(id_of(gone), "admin-1")
        await world.heard(gone, admitted=False)
        forged = SignedBus(PostgresBus(world.transactions.database), Keyring((OTHER,)))
        event = KeysPublished.model_validate_json(before.value)
        async with replace(world.transactions, bus=forged).begin() as work:
            work.publish(event.model_copy(update={"version": 2**40}))
        async with replace(world.transactions, bus=PostgresBus(world.transactions.database)).begin() as work:
            work.forward(_again(before))  # genuine, and out of date
        await asyncio.sleep(1.0)
        assert await world.admitted(gone) is None
        assert await world.admitted(kept)


async def test_a_restored_database_is_right_also_where_the_bus_knows_a_later_list(database_url: str) -> None:
    async with system(database_url) as world:
        key = await world.owner.create("kept", "service", (), None, "admin-1")
        lost = await world.owner.create("lost", "service", (), None, "admin-1")
        await world.heard(lost)
        pool = world.transactions.database.pool
        await pool.execute("DELETE FROM api_key WHERE key_id = $1", id_of(lost))
        await pool.execute("UPDATE key_list SET version = 1")
        restarted = asyncio.create_task(Keeper(world.bus, KeysPublished.topic, partial(agree, world.owner)).run())
        await world.heard(lost, admitted=False)
        assert await world.admitted(key)
        restarted.cancel()
        await asyncio.gather(restarted, return_exceptions=True)


@pytest.mark.slow
async def test_the_key_of_a_person_is_refused_at_the_router_and_told_where_it_opens(
    database_url: str, port: int
) -> None:
    async with Database.open(database_url, "reviewer", size=2) as reviewer:
        unsigned = Transactions(reviewer, PostgresBus(reviewer), SystemClock(), "reviewer-api")
        await unsigned.bus.ensure_topics(topics(4))
        await PolicyService(unsigned).publish(parse_policy(SAFE), "lead")  # the router waits for one that is signed
        keys = KeyService(replace(unsigned, bus=SignedBus(unsigned.bus, Keyring((KEY,)))))
        upstream = await keys.create("forum", "service", (), None, "admin-1")
        person = await keys.create("ann", "moderator", (), None, "admin-1")
    router, api = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    async with (
        started("router", database_url, port, SECONDLOOK_SIGNING_KEY=KEY),
        started("reviewer_api", database_url, port + 1, SECONDLOOK_ROUTER_URL=router),
        httpx.AsyncClient() as client,
    ):
        await answered(client, f"{router}/readyz", 503)
        await answered(client, f"{api}/readyz", 200)
        headers = {"Authorization": f"Bearer {upstream}"}

        async def accepted() -> bool:
            return (await client.post(f"{router}/v1/content", json=BODY, headers=headers)).status_code == 202

        await until(accepted)
        refused = await client.post(f"{router}/v1/content", json=BODY, headers={"Authorization": f"Bearer {person}"})
        assert refused.status_code == 403
        assert "opens the reviewer API" in refused.json()["detail"]
        content = await client.get(f"{api}/v1/content/{BODY['source']}/{BODY['content_id']}", headers=headers)
        assert content.json()["revisions"] == [{"revision": 1, "state": "accepted"}], "nobody has decided"
        assert (await client.get(f"{api}/v1/decisions/feed", headers=headers)).status_code == 200
        unknown = await client.get(f"{api}/v1/content/{BODY['source']}/no-such", headers=headers)
        assert unknown.status_code == 404


def _again(record: Record) -> Message:
    return Message(record.topic, record.key, record.value, record.headers)
