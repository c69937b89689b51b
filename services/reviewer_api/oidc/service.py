"""Sign in by an identity provider: people are known by what it calls them, and get the role that its claims map to."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from secondlook.common.clock import Clock
from secondlook.common.errors import Busy, Conflict, Unauthenticated
from secondlook.common.postgres import Connection, Database, Row
from secondlook.reviewer_api.accounts import repository
from secondlook.reviewer_api.accounts.names import fold
from secondlook.reviewer_api.accounts.service import AccountService
from secondlook.reviewer_api.accounts.sign_in import SignedIn, SignIn
from secondlook.reviewer_api.accounts.tokens import digest, new_link
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.oidc import repository as identities
from secondlook.reviewer_api.oidc.provider import Provider, ProviderAway, TokenRefused
from secondlook.reviewer_api.oidc.repository import AtProvider

PATIENCE = timedelta(minutes=10)  # to sign in at the provider
MOST_OPEN = 10_000  # sign-ins that are at the provider
BY_PROVIDER = "oidc"  # who makes and changes accounts by what the provider says
STRONGEST_FIRST = ("admin", "lead", "policy_owner", "auditor", "moderator")
PAGE = re.compile(r"[A-Za-z0-9_~.%/-]{0,500}")  # a page of the console, behind its `#/`

log = structlog.get_logger()


class SignInRefused(Unauthenticated):
    """`code` says to the console why: `failed`, `no_role`, `disabled` or `unavailable`."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleClaims:
    """Which claims say how somebody is called and what they are; `roles`: the role for each value of the latter."""

    username: str
    role: str
    roles: Mapping[str, str]

    def role_of(self, claims: Mapping[str, Any]) -> str | None:
        """The strongest role that the claims map to; None: they may not sign in."""
        said = claims.get(self.role)
        values = {value for value in (said if isinstance(said, list) else [said]) if isinstance(value, str)}
        mapped = {self.roles[value] for value in values & self.roles.keys()}
        return next((role for role in STRONGEST_FIRST if role in mapped), None)

    def name_of(self, claims: Mapping[str, Any]) -> str | None:
        """The username that they ask for, folded; None if it can be none."""
        said = claims.get(self.username)
        return fold(said) if isinstance(said, str) else None


class OidcSignIn:
    """Sign-ins by one provider."""

    def __init__(
        self, database: Database, clock: Clock, provider: Provider, claims: RoleClaims, sign_in: SignIn,
        accounts: AccountService,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._provider = database, clock, provider
        self._claims, self._sign_in, self._accounts = claims, sign_in, accounts

    async def begin(self, goes_to: str) -> tuple[str, str]:
        """Where the browser goes, and what its cookie holds until it comes back.

        Raises:
            SignInRefused: `unavailable`.
            Busy: too many are on their way.
        """
        now = self._clock.now()
        (state, kept_state), (browser, kept_browser) = new_link(), new_link()
        page = goes_to if PAGE.fullmatch(goes_to) else ""
        pending = AtProvider(secrets.token_urlsafe(32), secrets.token_urlsafe(48), page)
        try:
            url = await self._provider.address(state, pending.nonce, pending.verifier, now)
        except ProviderAway as error:
            raise _refused("unavailable", error) from error
        if (
            await identities.keep(self._database.pool, kept_state, kept_browser, pending, now, now - PATIENCE)
            > MOST_OPEN
        ):
            raise Busy("too many sign-ins are under way; try again in a few minutes")
        return url, browser

    async def finish(self, state: str, browser: str, code: str, address: str) -> tuple[str, SignedIn, str]:
        """A new session of whoever came back: its token, who it is, and the page that they wanted.

        Raises:
            SignInRefused: with the reason.
            TooManyTries: too many tries from this address failed.
        """
        now = self._clock.now()
        await self._sign_in.ensure_address(address)
        kept_state, kept_browser = digest(state), digest(browser)
        pending = None
        if kept_state is not None and kept_browser is not None:
            pending = await identities.take(self._database.pool, kept_state, kept_browser, now - PATIENCE)
        if pending is None:
            await self._sign_in.failed_from(address)
            raise _refused("failed", "this sign-in is unknown, used up, too old, or another browser began it")
        try:
            claims = await self._provider.claims(code, pending.verifier, pending.nonce, now)
        except ProviderAway as error:
            raise _refused("unavailable", error) from error
        except TokenRefused as error:
            await self._sign_in.failed_from(address)
            raise _refused("failed", error) from error
        token, who = await self._enter(claims)
        return token, who, pending.goes_to

    async def _enter(self, claims: Mapping[str, Any]) -> tuple[str, SignedIn]:
        role, subject = self._claims.role_of(claims), str(claims["sub"])
        async with self._database.pool.acquire() as connection, connection.transaction():
            account = await identities.find(connection, self._provider.issuer, subject)
            if account is None and role is not None:
                name = await self._free_name(connection, claims)
                made = await self._accounts.add(connection, name, _shown(claims), role, BY_PROVIDER)
                await identities.link(connection, self._provider.issuer, subject, made, self._clock.now())
                account = await repository.lock(connection, made)
        if account is None:
            raise self._without_role()
        await self._follow(account, role)
        async with self._database.pool.acquire() as connection, connection.transaction():
            locked = await repository.lock(connection, account["account_id"])
            if locked is None or locked["disabled_at"] is not None:
                raise _refused("disabled", f"the account {account['username']} is disabled")
            return await self._sign_in.open(connection, locked, BY_PROVIDER)

    async def _follow(self, account: Row, role: str | None) -> None:
        """Give the account the role that the provider says now; without one its sessions end, and no new one begins."""
        if role is None:
            async with self._database.pool.acquire() as connection, connection.transaction():
                await repository.end_sessions(connection, account["account_id"])
                told = {"why": "no_role"}
                await append(connection, self._clock.now(), BY_PROVIDER, "session.refused", account["subject"], told)
            raise self._without_role()
        if role != account["role"]:
            try:
                await self._accounts.change(account["account_id"], None, role, None, BY_PROVIDER)
            except Conflict as conflict:  # the last admin stays one, so that somebody can manage accounts
                log.warning("role kept", account=account["subject"], role=account["role"], why=str(conflict))

    def _without_role(self) -> SignInRefused:
        return _refused("no_role", f"none of the values of {self._claims.role} has a role")

    async def _free_name(self, connection: Connection, claims: Mapping[str, Any]) -> str:
        """The username that they ask for, or one like it: nobody gets into an account by asking for its name."""
        wanted = self._claims.name_of(claims) or "member"
        name = wanted
        while await repository.by_username(connection, name) is not None:
            name = f"{wanted[:48]}-{secrets.token_hex(3)}"
        return name


def _shown(claims: Mapping[str, Any]) -> str | None:
    """The name to show; None where there is none that can be stored."""
    name = claims.get("name")
    if not isinstance(name, str) or "\x00" in name or name != name.encode(errors="replace").decode():
        return None
    return name.strip()[:128] or None


def _refused(code: str, why: object) -> SignInRefused:
    log.warning("sign-in refused", code=code, why=str(why))
    return SignInRefused(code, str(why))
