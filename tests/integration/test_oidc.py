"""Sign in by an identity provider: who comes in, as what, and what is refused."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from secondlook.common.errors import ConfigurationError, Conflict
from secondlook.common.service.authentication import SESSION_COOKIE
from secondlook.reviewer_api.oidc.provider import OidcClient
from secondlook.reviewer_api.oidc.routes import COOKIE
from secondlook.reviewer_api.settings import ReviewerSettings
from tests.integration.accounts_world import Browser
from tests.integration.oidc_world import CLIENT_ID, HostileProvider, authorise, real_provider
from tests.integration.review_world import World

SETTINGS: dict[str, Any] = {
    "oidc_client_id": CLIENT_ID, "oidc_client_secret": "s" * 32, "oidc_name": "Example",
    "public_url": "https://desk.example.org",
    "oidc_roles": {"mods": "moderator", "bosses": "lead", "admins": "admin"},
}  # fmt: skip
HOME = "/#/"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with real_provider() as issuer:
        yield issuer


@pytest.fixture
def hostile() -> Iterator[HostileProvider]:
    with HostileProvider().running() as provider:
        yield provider


@asynccontextmanager
async def desk(database_url: str, issuer: str, **settings: Any) -> AsyncIterator[World]:
    async with World.open(database_url, oidc_issuer=issuer, **{**SETTINGS, **settings}) as world:
        world.clock.time = datetime.now(UTC)
        yield world


def cookies(answer: httpx.Response) -> dict[str, str]:
    found = [re.match(r"([^=]+)=\"?([^;\"]*)", line) for line in answer.headers.get_list("set-cookie")]
    return {match[1]: match[2] for match in found if match is not None}


async def begin(world: World, goes_to: str = "") -> tuple[str, str]:
    """Where the browser is sent, and its cookie."""
    answer = await world.client.get("/session/oidc", params={"goes_to": goes_to})
    world.client.cookies.clear()
    assert answer.status_code == 302, answer.text
    [line] = answer.headers.get_list("set-cookie")
    assert all(part in line for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    return answer.headers["location"], cookies(answer)[COOKIE]


async def back(world: World, query: str, cookie: str) -> tuple[str, str | None]:
    """Where the browser goes in the end, and its session."""
    answer = await world.client.get(f"/session/oidc/callback?{query}", headers={"Cookie": f"{COOKIE}={cookie}"})
    world.client.cookies.clear()
    assert answer.status_code == 302, answer.text
    assert cookies(answer)[COOKIE] == "", "it is used up"
    return answer.headers["location"], cookies(answer).get(SESSION_COOKIE)


async def signs_in(world: World, person: str, goes_to: str = "") -> tuple[str, Any]:
    """Where somebody ends up by way of the real provider, and who they are then."""
    address, cookie = await begin(world, goes_to)
    page, session = await back(world, await authorise(address, person), cookie)
    return page, await me(world, session)


async def me(world: World, session: str | None) -> Any:
    if session is None:
        return None
    browser = Browser(world)
    browser.cookie = session
    answer = await browser.send("GET", "/me")
    return answer.json() if answer.status_code == 200 else None


async def test_people_come_in_with_the_role_that_their_groups_map_to(database_url: str, issuer: str) -> None:
    async with desk(database_url, issuer) as world:
        assert (await world.client.get("/session/ways")).json() == {"password": True, "oidc": "Example"}
        page, ann = await signs_in(world, "ann", "review/default")
        assert (page, ann["role"], ann["name"]) == ("/#/review/default", "moderator", "Ann A.")
        assert (await signs_in(world, "ann"))[1]["subject"] == ann["subject"], "the same account again"
        _, boss = await signs_in(world, "boss")
        assert boss["role"] == "lead", "the stronger of two"
        assert (await signs_in(world, "stranger")) == ("/#oidc=no_role", None)
        assert (await signs_in(world, "nameless"))[1]["role"] == "moderator"
        accounts = {account["username"]: account for account in await world.api.accounts.all()}
        assert set(accounts) == {"ann", "boss", "member"}
        entries = (await world.call("GET", "/audit-log", role="admin")).json()["entries"]
        assert {"by": "oidc"} in [entry["details"] for entry in entries if entry["action"] == "session.started"]


async def test_nobody_gets_an_account_by_asking_for_its_name(database_url: str, issuer: str) -> None:
    async with desk(database_url, issuer) as world:
        account_id, _, _ = await world.api.accounts.create("ann", None, "admin", "test")
        _, ann = await signs_in(world, "ann")
        assert ann["role"] == "moderator"
        assert ann["subject"] != (await world.api.accounts.one(account_id))["subject"]


async def test_what_changes_at_the_provider_and_here(database_url: str, hostile: HostileProvider) -> None:
    async with desk(database_url, hostile.issuer) as world:

        async def comes(*groups: str) -> tuple[str, Any, str | None]:
            hostile.says = lambda nonce: hostile.token(nonce, groups=list(groups))
            address, cookie = await begin(world)
            page, session = await back(world, hostile.sent(address), cookie)
            return page, await me(world, session), session

        _, ann, first = await comes("mods")
        assert ann["role"] == "moderator"
        _, again, _ = await comes("bosses")
        assert (again["subject"], again["role"]) == (ann["subject"], "lead")
        assert await me(world, first) is None, "another role ends the sessions"
        _, _, second = await comes("admins")
        page, kept, _ = await comes("mods")
        assert (page, kept["role"]) == (HOME, "admin"), "the last admin stays one"
        await world.api.accounts.create("root", None, "admin", "test")
        assert (await comes("mods"))[1]["role"] == "moderator"
        assert await me(world, second) is None
        _, _, third = await comes("mods")
        assert (await comes("nothing"))[:2] == ("/#oidc=no_role", None)
        assert await me(world, third) is None, "who has no role any more is signed out"
        [account] = [each for each in await world.api.accounts.all() if each["subject"] == ann["subject"]]
        await world.api.accounts.change(account["account_id"], None, None, True, "test")
        assert (await comes("mods"))[:2] == ("/#oidc=disabled", None)


async def test_a_password_does_not_get_past_the_provider(database_url: str, issuer: str) -> None:
    async with desk(database_url, issuer) as world:
        address, cookie = await begin(world)
        browser = Browser(world)
        _, browser.cookie = await back(world, await authorise(address, "ann"), cookie)
        answer = await browser.send("POST", "/session/password", {"new": "correct horse battery"})
        assert (answer.status_code, answer.json()["code"]) == (409, "signed_in_elsewhere")
        [account] = await world.api.accounts.all()
        with pytest.raises(Conflict, match="identity provider"):
            await world.api.accounts.link(account["account_id"], "test")


async def test_a_sign_in_is_used_once_in_time_and_by_the_browser_that_began_it(database_url: str, issuer: str) -> None:
    async with desk(database_url, issuer) as world:
        failed = ("/#oidc=failed", None)
        address, cookie = await begin(world)
        query = await authorise(address, "ann")
        assert await back(world, query, "") == failed
        assert await back(world, query, (await begin(world))[1]) == failed, "another browser"
        assert await back(world, "code=x&state=unheard-of", cookie) == failed
        assert await back(world, "", cookie) == failed
        assert await back(world, "error=access_denied&error_description=no&state=x", cookie) == failed
        assert (await back(world, query, cookie))[0] == HOME
        assert await back(world, query, cookie) == failed, "a second time"
        address, cookie = await begin(world)
        query = await authorise(address, "ann")
        world.clock.turn(601)
        assert await back(world, query, cookie) == failed, "too late"


@pytest.mark.parametrize(
    "goes_to", ["//evil.example", "https://evil.example", "\\evil", "a\nb", "javascript:alert(1)", "?x"]
)
async def test_it_leads_to_a_page_of_the_console_alone(database_url: str, issuer: str, goes_to: str) -> None:
    async with desk(database_url, issuer) as world:
        page, _ = await signs_in(world, "ann", goes_to)
        assert page.startswith(HOME)
        assert page == HOME or re.fullmatch(r"/#/[A-Za-z0-9_~.%/-]*", page)


FORGED: dict[str, Callable[[HostileProvider, str], Any]] = {
    "another nonce": lambda p, nonce: p.token("other"),
    "no nonce": lambda p, nonce: p.token(""),
    "expired": lambda p, nonce: p.token(nonce, exp=1_700_000_000),
    "never expires": lambda p, nonce: p.token(nonce, exp=None),
    "not yet": lambda p, nonce: p.token(nonce, iat=4_000_000_000),
    "another audience": lambda p, nonce: p.token(nonce, aud="other"),
    "no audience": lambda p, nonce: p.token(nonce, aud=None),
    "for several, and another": lambda p, nonce: p.token(nonce, aud=[CLIENT_ID, "other"], azp="other"),
    "for several, and nobody": lambda p, nonce: p.token(nonce, aud=[CLIENT_ID, "other"]),
    "another issuer": lambda p, nonce: p.token(nonce, iss="https://evil.example"),
    "nobody": lambda p, nonce: p.token(nonce, sub=None),
    "an empty name": lambda p, nonce: p.token(nonce, sub=""),
    "a number": lambda p, nonce: p.token(nonce, sub=7),
    "unsigned": lambda p, nonce: p.unsigned(nonce),
    "signed with the public key": lambda p, nonce: p.signed_with_the_public_key(nonce),
    "another key with its name": lambda p, nonce: p.token(nonce, key=RSAKey.generate_key(2048, {"kid": "first"})),
    "an unknown key": lambda p, nonce: p.token(nonce, {"kid": "x"}, RSAKey.generate_key(2048, {"kid": "x"})),
    "expires in words": lambda p, nonce: p.token(nonce, exp="late"),
    "issued in a list": lambda p, nonce: p.token(nonce, iat=[1]),
    "a NUL in the name": lambda p, nonce: p.token(nonce, sub="a\x00"),
    "a name of many": lambda p, nonce: p.token(nonce, sub="a" * 256),
    "an audience in an object": lambda p, nonce: p.token(nonce, aud={CLIENT_ID: 1}),
    "nobody listens": lambda p, nonce: p.token(nonce, aud=[]),
    "an issuer in a list": lambda p, nonce: p.token(nonce, iss=[p.issuer]),
    "azp in a list": lambda p, nonce: p.token(nonce, azp=[CLIENT_ID]),
    "a key name that is a number": lambda p, nonce: p.token(nonce, {"kid": "7"}),
    "no token": lambda p, nonce: None,
    "no words": lambda p, nonce: "a.b.c",
    "a list": lambda p, nonce: [],
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
async def test_tokens_that_prove_nothing(database_url: str, hostile: HostileProvider, forged: str) -> None:
    async with desk(database_url, hostile.issuer) as world:
        address, cookie = await begin(world)
        query = hostile.sent(address)
        hostile.says = lambda nonce: FORGED[forged](hostile, nonce)
        assert await back(world, query, cookie) == ("/#oidc=failed", None)
        assert await world.api.accounts.all() == []


ODD: dict[str, dict[str, Any]] = {
    "NUL": {"name": "a\x00b", "preferred_username": "a\x00b"},
    "long": {"name": "n" * 5000, "preferred_username": "u" * 5000}, "numbers": {"name": 7, "preferred_username": [1]},
    "blank": {"name": " ", "preferred_username": " "}, "roles": {"groups": ["mods", 7, None, {"a": 1}, "\x00"]},
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
async def test_odd_names_do_not_keep_anybody_out(database_url: str, hostile: HostileProvider, odd: str) -> None:
    async with desk(database_url, hostile.issuer) as world:
        hostile.says = lambda nonce: hostile.token(nonce, **ODD[odd])
        address, cookie = await begin(world)
        page, session = await back(world, f"{hostile.sent(address)}&hd=example.org&anything=else", cookie)
        assert page == HOME
        assert (await me(world, session))["role"] == "moderator"


async def test_keys_that_the_provider_has_changed(database_url: str, hostile: HostileProvider) -> None:
    async with desk(database_url, hostile.issuer) as world:
        for kid in ("first", "second", "third"):
            hostile.key = RSAKey.generate_key(2048, {"kid": kid})
            hostile.shown = [hostile.key]
            address, cookie = await begin(world)
            assert (await back(world, hostile.sent(address), cookie))[0] == HOME


async def test_a_provider_that_is_away_or_talks_nonsense(database_url: str, hostile: HostileProvider) -> None:
    async with desk(database_url, hostile.issuer) as world:
        address, cookie = await begin(world)
        query = hostile.sent(address)
        hostile.status = 500
        assert (await back(world, query, cookie))[0] in ("/#oidc=failed", "/#oidc=unavailable")
    for described in ({"issuer": "https://other.example"}, {"token_endpoint": "http://other.example/token"}):
        hostile.described = described
        async with desk(database_url, hostile.issuer) as world:
            answer = await world.client.get("/session/oidc")
            assert (answer.status_code, answer.headers["location"]) == (302, "/#oidc=unavailable")
    async with desk(database_url, "http://127.0.0.1:1") as world:
        answer = await world.client.get("/session/oidc")
        assert (answer.status_code, answer.headers["location"]) == (302, "/#oidc=unavailable")
        assert (await world.client.get("/session/ways")).status_code == 200


async def test_too_many_failures_from_one_address(database_url: str, issuer: str) -> None:
    async with desk(database_url, issuer) as world:
        for _ in range(50):
            await back(world, "code=x&state=x", "")
        answer = await world.client.get("/session/oidc/callback?code=x&state=x")
        assert answer.status_code == 429


async def test_without_a_provider(database_url: str) -> None:
    async with World.open(database_url) as world:
        assert (await world.client.get("/session/ways")).json() == {"password": True, "oidc": None}
        assert (await world.client.get("/session/oidc")).status_code == 404
        assert (await world.client.get("/session/oidc/callback?code=x")).status_code == 404


WHOLE = {"oidc_issuer": "https://id.example", **SETTINGS}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"oidc_client_id": ""}, "SECONDLOOK_OIDC_CLIENT_ID"), ({"public_url": ""}, "SECONDLOOK_PUBLIC_URL"),
        ({"oidc_roles": {}}, "SECONDLOOK_OIDC_ROLES"), ({"oidc_roles": {"mods": "king"}}, "king"),
        ({"oidc_issuer": "http://id.example"}, "https"), ({"public_url": "desk.example"}, "https"),
    ],
)  # fmt: skip
def test_half_set_is_said(changes: dict[str, Any], words: str) -> None:
    def settings(**given: Any) -> ReviewerSettings:
        return ReviewerSettings(database_url=SecretStr("postgresql://x"), **given)

    whole = OidcClient.of(settings(**WHOLE))
    assert whole is not None
    assert whole.redirect_uri == "https://desk.example.org/v1/session/oidc/callback"
    assert OidcClient.of(settings()) is None
    with pytest.raises(ConfigurationError, match=words):
        OidcClient.of(settings(**{**WHOLE, **changes}))
