"""Signed records over every transport: they keep their signatures, and forged ones reach nobody."""

import asyncio
import secrets
from collections.abc import Mapping

import pytest

from secondlook.common.bus import Bus, Message, Record, Topic
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.signatures.keeper import Keeper, Seen
from secondlook.common.bus.signatures.keyring import Keyring
from secondlook.common.bus.signatures.signed_bus import SignedBus
from secondlook.common.postgres import Database
from tests.contract.conftest import kafka_bus, running
from tests.waiting import until

TOPIC, KEYS = "policy.published", Keyring(("k" * 32,))


@pytest.mark.parametrize("transport", ["postgres", "kafka"])
async def test_only_what_was_signed_is_handed_on(
    transport: str, database: Database, request: pytest.FixtureRequest
) -> None:
    raw: Bus = PostgresBus(database)
    if transport == "kafka":
        prefix = f"signed-{secrets.token_hex(4)}."
        raw = kafka_bus(database, request.getfixturevalue("kafka_bootstrap"), kafka_prefix=prefix)
    bus, heard, ready = SignedBus(raw, KEYS), list[bytes](), asyncio.Event()

    async def send(by: Bus, body: bytes) -> None:
        async with database.pool.acquire() as connection, connection.transaction():
            await by.publish(connection, [Message(TOPIC, "policy", body, {"ce_id": "1", "ce_type": "PolicyPublished"})])

    async def hear(record: Record) -> None:
        heard.append(record.value)

    async def agree(newest: Mapping[str, Seen]) -> bool:
        if newest["policy"].authenticity.accepted:
            return False
        await send(bus, b"genuine again")
        return True

    async with running(bus, database) as transported:
        await bus.ensure_topics([Topic(TOPIC, 1, compacted=True)])
        await send(bus, b"genuine")
        await send(raw, b"forged")
        await send(SignedBus(raw, Keyring(("x" * 32,))), b"signed by another")
        async with asyncio.timeout(20):
            while len(await raw.tail(TOPIC, 3)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert [record.value for record in await bus.tail(TOPIC, 3)] == [b"genuine"]
        tasks = [asyncio.create_task(bus.follow(TOPIC, hear, ready.set))]
        try:
            await until(lambda: transported.observed.refusals == [(TOPIC, "wrong_signature")])
            assert not ready.is_set(), "the newest record is not genuine"
            tasks.append(asyncio.create_task(Keeper(bus, TOPIC, agree).run()))
            await asyncio.wait_for(ready.wait(), 20)
            await until(lambda: heard == [b"genuine again"])
            await send(bus, b"the next")
            await until(lambda: heard == [b"genuine again", b"the next"])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
