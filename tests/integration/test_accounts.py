"""People sign in, are who they are, and nobody else is: every way to get in that must not work."""

from collections.abc import AsyncIterator

import pytest

from secondlook.common.service.authentication import SESSION_COOKIE
from secondlook.reviewer_api.accounts.names import fold
from secondlook.reviewer_api.accounts.sign_in import MOST_OF_ADDRESS, MOST_OF_NAME
from tests.integration.accounts_world import PASSWORD, Browser, person
from tests.integration.review_world import World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


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
