"""Accounts and keys are made, changed and revoked by those who may, and the audit log tells."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from secondlook.common.errors import Conflict
from tests.integration.accounts_world import Browser, person
from tests.integration.cli_world import secondlook
from tests.integration.review_world import World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def test_who_manages_accounts(world: World) -> None:
    admin_id = await person(world, "root", "admin")
    browser = Browser(world)
    await browser.sign_in("root")
    made = await browser.send("POST", "/accounts", {"username": "Lea", "role": "lead"})
    assert made.status_code == 201
    lea = made.json()["account"]
    assert lea["username"] == "lea"
    again = await browser.send("POST", "/accounts", {"username": "\uff2c\uff25\uff21", "role": "lead"})
    assert (again.status_code, again.json()["code"]) == (409, "username_taken")
    for role in ("service", "upstream", "king"):
        assert (await browser.send("POST", "/accounts", {"username": "x", "role": role})).status_code == 422
    listed = (await browser.send("GET", "/accounts")).json()["accounts"]
    assert [account["username"] for account in listed] == ["lea", "root"]
    assert all("password" not in account for account in listed)

    for change in ({"role": "lead"}, {"disabled": True}):
        answer = await browser.send("PATCH", f"/accounts/{admin_id}", change)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    assert (await browser.send("PATCH", f"/accounts/{lea['account_id']}", {"role": "admin"})).status_code == 200
    done = await asyncio.gather(
        world.api.accounts.change(admin_id, None, None, True, "test"),
        world.api.accounts.change(UUID(lea["account_id"]), None, None, True, "test"),
        return_exceptions=True,
    )
    assert [isinstance(result, Conflict) for result in done].count(True) == 1, "one of them stays"


async def test_keys_over_http_expire_and_say_when_they_were_used(world: World) -> None:
    await person(world, "root", "admin")
    browser = Browser(world)
    await browser.sign_in("root")
    until = world.clock.now().replace(hour=1).isoformat()
    made = await browser.send("POST", "/keys", {"name": "bot", "role": "moderator", "expires_at": until})
    assert made.status_code == 201
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await world.client.get("/me", headers=bearer)).status_code == 200
    (key,) = (await browser.send("GET", "/keys")).json()["keys"]
    assert key["last_used_at"] is not None
    assert "key" not in key
    world.clock.turn(3601)
    assert (await world.client.get("/me", headers=bearer)).status_code == 401, "it has expired"
    assert (await browser.send("DELETE", f"/keys/{key['key_id']}")).status_code == 204
    assert (await browser.send("DELETE", f"/keys/{key['key_id']}")).status_code == 404
    for wrong in ({"sources": ["forum"]}, {"role": "king"}, {"expires_at": "2026-01-01T00:00:00"}):
        body = {"name": "bot", "role": "moderator", **wrong}
        assert (await browser.send("POST", "/keys", body)).status_code == 422, wrong


async def test_the_audit_log_names_who_did_what_and_shows_what_was_tampered_with(
    world: World, database_url: str
) -> None:
    await person(world, "root", "admin")
    browser = Browser(world)
    await browser.sign_in("root", "wrong")
    await browser.sign_in("root")
    await browser.send("POST", "/keys", {"name": "bot", "role": "moderator"})
    entries = (await browser.send("GET", "/audit-log")).json()["entries"]
    actions = [entry["action"] for entry in reversed(entries)]
    assert actions == [
        "policy.published", "account.created", "session.started", "password.set", "session.refused",
        "session.started", "key.created",
    ]  # fmt: skip
    subject = (await browser.send("GET", "/me")).json()["subject"]
    assert entries[0]["actor"] == subject
    page = (await browser.send("GET", "/audit-log?limit=2")).json()
    assert [entry["number"] for entry in page["entries"]] == [7, 6]
    assert (await browser.send("GET", f"/audit-log?limit=9&after={page['next']}")).json()["entries"] == entries[2:]

    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await world.database.pool.execute(statement)
    assert (await secondlook(database_url, "audit-log", "verify")).out.startswith("7 entries")
    await world.database.pool.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL")
    tampered = {
        "UPDATE audit_log SET details = '{}' WHERE number = 2": "entry 2 is not what was written",
        "DELETE FROM audit_log WHERE number = 3": "entry 3 is missing",
        "UPDATE audit_log SET number = 9 - number WHERE number IN (4, 5)": "entry 4 is not what was written",
        "DELETE FROM audit_log WHERE number = 1": "entry 1 is missing",
    }
    for statement, said in tampered.items():
        await world.database.pool.execute("CREATE TABLE kept AS TABLE audit_log")
        if "9 - number" in statement:
            await world.database.pool.execute("ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey")
        await world.database.pool.execute(statement)
        ran = await secondlook(database_url, "audit-log", "verify")
        assert (ran.status, said in ran.err) == (2, True), (statement, ran)
        await world.database.pool.execute("DELETE FROM audit_log; INSERT INTO audit_log TABLE kept; DROP TABLE kept")
    assert (await secondlook(database_url, "audit-log", "verify")).status == 0
    assert "password.set" in (await secondlook(database_url, "audit-log", "list")).out


async def test_accounts_on_the_command_line(world: World, database_url: str) -> None:
    made = await secondlook(database_url, "accounts", "create", "Ann", "--role", "moderator")
    assert made.status == 0
    token = made.out.strip().partition("#login=")[2]
    browser = Browser(world)
    world.clock.time = await world.database.pool.fetchval("SELECT now()")
    assert (await browser.send("POST", "/session/link", {"token": token})).status_code == 200
    assert (await secondlook(database_url, "accounts", "disable", "ann")).status == 0
    assert (await browser.send("GET", "/me")).status_code == 401
    refused = await secondlook(database_url, "accounts", "link", "ann")
    assert (refused.status, "disabled" in refused.err) == (2, True)
    assert (await secondlook(database_url, "accounts", "enable", "ANN")).status == 0
    assert (await secondlook(database_url, "accounts", "link", "ann")).status == 0
    assert "moderator" in (await secondlook(database_url, "accounts", "list")).out
    assert (await secondlook(database_url, "accounts", "link", "nobody")).status == 2
    assert (await secondlook(database_url, "accounts", "create", "a b", "--role", "lead")).status == 2


async def test_keys_that_commands_make_and_revoke_are_in_the_log(world: World, database_url: str) -> None:
    key = (await secondlook(database_url, "keys", "create", "bot", "--role", "moderator")).out.strip()
    assert (await secondlook(database_url, "keys", "revoke", key.split("_")[1])).status == 0
    told = (await secondlook(database_url, "audit-log", "list")).out
    assert [line.split()[4] for line in told.splitlines() if "key." in line] == ["key.revoked", "key.created"]


async def test_a_key_and_its_entry_are_there_together_or_not_at_all(world: World) -> None:
    await world.database.pool.execute("ALTER TABLE audit_log ADD CHECK (action <> 'key.created')")
    await person(world, "root", "admin")
    browser = Browser(world)
    await browser.sign_in("root")
    assert (await browser.send("POST", "/keys", {"name": "bot", "role": "moderator"})).status_code == 500
    assert (await browser.send("GET", "/keys")).json()["keys"] == []
