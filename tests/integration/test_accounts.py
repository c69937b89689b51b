"""People sign in, are who they are, and nobody else is: every way to get in that must not work."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from secondlook.common.errors import Conflict
from secondlook.common.service.authentication import SESSION_COOKIE
from secondlook.reviewer_api.accounts.names import fold
from secondlook.reviewer_api.accounts.sign_in import MOST_OF_ADDRESS, MOST_OF_NAME
from tests.integration.cli_world import secondlook
from tests.integration.review_world import World

ORIGIN = {"Origin": "http://reviewer"}
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


class Browser:
    """A person's browser: it keeps the cookie, and says which page asks."""

    def __init__(self, world: World, **headers: str) -> None:
        self._client, self._headers = world.client, ORIGIN | headers
        self.cookie: str | None = None

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        cookie = {"Cookie": f"{SESSION_COOKIE}={self.cookie}"} if self.cookie else {}
        sent = {**self._headers, **cookie, **headers}
        answer = await self._client.request(method, path, json=body, headers={k: v for k, v in sent.items() if v})
        self._client.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            value = line.partition("=")[2].partition(";")[0].strip('"')
            self.cookie = value or None
        return answer

    async def sign_in(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return await self.send("POST", "/session", {"username": username, "password": password})


async def person(world: World, username: str, role: str, password: str | None = PASSWORD) -> UUID:
    account_id, token, _ = await world.api.accounts.create(username, None, role, "test")
    if password is not None:
        browser = Browser(world)
        assert (await browser.send("POST", "/session/link", {"token": token})).status_code == 200
        assert (await browser.send("POST", "/session/password", {"new": password})).status_code == 204
    return account_id


async def test_a_link_signs_in_once_and_a_password_after_that(world: World) -> None:
    account_id, token, _ = await world.api.accounts.create("ann", "Ann", "moderator", "test")
    browser, thief = Browser(world), Browser(world)
    answer = await browser.send("POST", "/session/link", {"token": token})
    me = answer.json()
    assert (me["name"], me["role"], me["password_set"]) == ("Ann", "moderator", False)
    assert me["subject"] != "ann"
    assert (await thief.send("POST", "/session/link", {"token": token})).status_code == 401
    flags = answer.headers["set-cookie"]
    assert all(flag in flags for flag in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    assert "Domain" not in flags

    assert (await browser.send("POST", "/session/password", {"new": "short"})).status_code == 422
    assert (await browser.send("POST", "/session/password", {"new": PASSWORD})).status_code == 204
    assert (await browser.send("POST", "/session/password", {"new": PASSWORD + "2"})).status_code == 422
    changed = {"new": PASSWORD + "2", "current": PASSWORD}
    assert (await browser.send("POST", "/session/password", changed)).status_code == 204
    assert (await thief.sign_in("ann")).status_code == 401
    assert (await thief.sign_in(" ANN ", PASSWORD + "2")).status_code == 200, "case does not count"
    assert (await world.api.accounts.one(account_id))["password_set"]


async def test_a_session_reviews_like_a_key_and_ends(world: World) -> None:
    account_id = await person(world, "ann", "moderator")
    browser = Browser(world)
    await browser.sign_in("ann")
    assert (await browser.send("POST", "/review/claims", {})).status_code == 200
    assert (await browser.send("POST", "/policies", {"document": ""})).status_code == 403
    world.clock.turn(7 * 3600)
    assert (await browser.send("GET", "/me")).status_code == 200
    world.clock.turn(7 * 3600)
    assert (await browser.send("GET", "/me")).status_code == 200, "it was used in between"
    world.clock.turn(8 * 3600 + 61)
    assert (await browser.send("GET", "/me")).status_code == 401, "it was not used for long"

    await browser.sign_in("ann")
    for _ in range(24 * 7 // 4 + 1):
        world.clock.turn(4 * 3600)
        last = await browser.send("GET", "/me")
    assert last.status_code == 401, "it ends, however much it is used"

    await browser.sign_in("ann")
    stolen = browser.cookie
    assert (await browser.send("DELETE", "/session")).status_code == 204
    browser.cookie = stolen
    assert (await browser.send("GET", "/me")).status_code == 401, "who signs out ends the session itself"

    changes: list[tuple[str | None, bool | None]] = [(None, True), ("lead", None)]
    for role, disabled in changes:
        await world.api.accounts.change(account_id, None, None, False, "test")
        await browser.sign_in("ann")
        assert (await browser.send("GET", "/me")).status_code == 200
        await world.api.accounts.change(account_id, None, role, disabled, "test")
        assert (await browser.send("GET", "/me")).status_code == 401, (role, disabled)


async def test_a_new_password_ends_other_sessions(world: World) -> None:
    await person(world, "ann", "moderator")
    here, there = Browser(world), Browser(world)
    await here.sign_in("ann")
    await there.sign_in("ann")
    assert here.cookie != there.cookie
    given = {"new": PASSWORD + "2", "current": PASSWORD}
    assert (await here.send("POST", "/session/password", given)).status_code == 204
    assert (await here.send("GET", "/me")).status_code == 200
    assert (await there.send("GET", "/me")).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://reviewer", 200),
        ("https://reviewer", 200),  # behind a proxy that speaks TLS
        ("HTTP://REVIEWER", 200),
        ("", 403),
        ("null", 403),
        ("http://evil", 403),
        ("http://reviewer.evil", 403),
        ("http://evil/reviewer", 403),
        ("http://reviewer@evil", 403),
        ("http://reviewer:81", 403),
        ("reviewer", 403),
    ],
)
async def test_no_other_site_makes_a_browser_change_anything(world: World, origin: str, status: int) -> None:
    await person(world, "ann", "moderator")
    browser = Browser(world)
    await browser.sign_in("ann")
    assert (await browser.send("POST", "/review/claims", {}, Origin=origin)).status_code == status
    assert (await browser.send("GET", "/queues", Origin=origin)).status_code == 200, "reading is the browser's matter"
    sign_in = {"username": "ann", "password": PASSWORD}
    assert (await Browser(world).send("POST", "/session", sign_in, Origin=origin)).status_code == status


async def test_no_credential_stands_in_for_another(world: World) -> None:
    await person(world, "ann", "moderator")
    browser = Browser(world)
    await browser.sign_in("ann")
    session, key = browser.cookie or "", await world.api.keys.create("k", "admin")
    _, link, _ = await world.api.accounts.create("eve", None, "admin", "test")
    tries: list[tuple[dict[str, str], int]] = [
        ({"Authorization": f"Bearer {session}"}, 200),
        ({"Authorization": f"Bearer {key}"}, 200),
        ({"Cookie": f"{SESSION_COOKIE}={key}"}, 401),  # a key in a cookie would be sent by any page
        ({"Cookie": f"{SESSION_COOKIE}={link}"}, 401),
        ({"Cookie": f"{SESSION_COOKIE}=ss_{link}"}, 401),
        ({"Cookie": f"secondlook={session}"}, 401),
        ({"Cookie": f"{SESSION_COOKIE}={session}x"}, 401),
        ({"Cookie": f"{SESSION_COOKIE}={session[:-1]}"}, 401),
        ({"Cookie": f"{SESSION_COOKIE}=ss_{'A' * 43}"}, 401),
        ({"Authorization": "Bearer x", "Cookie": f"{SESSION_COOKIE}={session}"}, 401),  # the header counts
        ({"Authorization": "Basic eDp5", "Cookie": f"{SESSION_COOKIE}={session}"}, 401),
        ({"Authorization": f"Bearer {'s' * 10_000}"}, 401),
    ]
    for headers, status in tries:
        answer = await world.client.get("/me", headers=headers)
        assert answer.status_code == status, headers


async def test_tries_that_fail_are_counted_by_name_and_by_address(world: World) -> None:
    await person(world, "ann", "moderator")
    browser = Browser(world)
    for _ in range(MOST_OF_NAME):
        assert (await browser.sign_in("ann", "wrong")).status_code == 401
    refused = await browser.sign_in("Ann")
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-tries")
    assert 0 < int(refused.headers["retry-after"]) <= 900
    world.clock.turn(int(refused.headers["retry-after"]) + 1)
    assert (await browser.sign_in("ann")).status_code == 200

    for number in range(MOST_OF_ADDRESS):
        assert (await browser.send("POST", "/session/link", {"token": f"guess-{number}"})).status_code == 401
    assert (await browser.send("POST", "/session/link", {"token": "guess"})).status_code == 429
    assert (await browser.sign_in("ann")).status_code == 429


@pytest.mark.parametrize(
    ("given", "folded"),
    [
        ("Ann", "ann"), (" ann ", "ann"), ("\uff21\uff2e\uff2e", "ann"), ("STRASSE", "strasse"), ("straße", "strasse"),
        ("ann@example.org", "ann@example.org"), ("Ünal", "ünal"), ("U\u0308nal", "ünal"), ("a" * 64, "a" * 64),
        ("", None), ("a" * 65, None), ("-ann", None), ("an n", None), ("ann\n", "ann"), ("a\u200bnn", None),
        ("a\u202enn", None), ("<b>", None), ("a/b", None), ("\u0000", None),
    ],
)  # fmt: skip
def test_a_username_has_one_spelling(given: str, folded: str | None) -> None:
    assert fold(given) == folded
    if folded is not None:
        assert fold(folded) == folded


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
