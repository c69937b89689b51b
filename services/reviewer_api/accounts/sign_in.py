"""Sign in and out, and know who is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from secondlook.common.clock import Clock
from secondlook.common.errors import Conflict, FieldProblem, InvalidInput, TooManyTries, Unauthenticated
from secondlook.common.postgres import Connection, Database, Row
from secondlook.common.service.permissions import ROLES, Caller
from secondlook.reviewer_api.accounts import repository
from secondlook.reviewer_api.accounts.names import fold
from secondlook.reviewer_api.accounts.passwords import Passwords
from secondlook.reviewer_api.accounts.tokens import IDLE, LIFE, TOUCH, digest, new_session
from secondlook.reviewer_api.audit_log.repository import append

COUNTED = timedelta(minutes=15)  # how long a failed try counts
MOST_OF_NAME, MOST_OF_ADDRESS = 10, 50  # failed tries in that time
WRONG = "username or password is wrong, or the account is disabled"
USED_UP = "this link is used up, too old, or was replaced by a newer one; ask an admin for another"
OVER = "you are not signed in, or no longer: sign in again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Somebody who is signed in, and until when at the latest."""

    caller: Caller
    name: str
    role: str
    password_set: bool
    ends_at: datetime


class SignIn:
    """Sessions of accounts. An `Authenticator` of their tokens."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database, self._clock, self._passwords = database, clock, passwords

    async def by_password(self, username: str, password: str, address: str) -> tuple[str, SignedIn]:
        """A new session: its token, which is stored nowhere, and who is signed in.

        A username that does not exist takes as long as a wrong password, and gets the same answer.

        Raises:
            Unauthenticated: the username, the password, or both are wrong, or the account is disabled.
            TooManyTries: too many tries of this name, or from this address, failed.
        """
        name, now = fold(username), self._clock.now()
        counted = {_of_address(address): MOST_OF_ADDRESS, **({_of_name(name): MOST_OF_NAME} if name else {})}
        await self._ensure_few_failures(counted, now)
        account = await repository.by_username(self._database.pool, name) if name else None
        known = account if account is not None and account["disabled_at"] is None else None
        if not await self._passwords.match(password, known["password"] if known else None):
            await self._failed(counted, account, now)
            raise Unauthenticated(WRONG)
        assert known is not None  # noqa: S101 - a password matched
        async with self._database.pool.acquire() as connection, connection.transaction():
            locked = await repository.lock(connection, known["account_id"])
            if locked is None or locked["disabled_at"] is not None or locked["password"] != known["password"]:
                raise Unauthenticated(WRONG)  # it was changed meanwhile
            return await self.open(connection, locked, "password")

    async def by_link(self, token: str, address: str) -> tuple[str, SignedIn]:
        """A new session, by a link that works once.

        Raises:
            Unauthenticated: it was used, is over, or never was.
            TooManyTries: too many tries from this address failed.
        """
        now, link = self._clock.now(), digest(token)
        counted = {_of_address(address): MOST_OF_ADDRESS}
        await self._ensure_few_failures(counted, now)
        if link is not None:
            async with self._database.pool.acquire() as connection, connection.transaction():
                if (account := await repository.use_link(connection, link, now)) is not None:
                    return await self.open(connection, account, "link")
        await self._failed(counted, None, now)
        raise Unauthenticated(USED_UP)

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a session's token; raises Unauthenticated."""
        return (await self.who(credential)).caller

    async def who(self, credential: str | None) -> SignedIn:
        """Who is signed in by this token; raises Unauthenticated."""
        now, token = self._clock.now(), digest(credential or "")
        row = token and await repository.session(self._database.pool, token, now, IDLE)
        if not row or token is None:
            raise Unauthenticated(OVER)
        if row["seen_at"] < now - TOUCH:
            await repository.touch(self._database.pool, token, now, TOUCH)
        return _signed_in(row, row["password_set"], row["ends_at"])

    async def sign_out(self, credential: str) -> None:
        """End the session. One that is over already stays so."""
        if (token := digest(credential)) is not None:
            await repository.end_session(self._database.pool, token)

    async def set_password(self, credential: str, new: str, current: str | None) -> None:
        """Set the password of whoever is signed in, and end their other sessions.

        Raises:
            Unauthenticated: nobody is signed in by this token.
            InvalidInput: `current` is not the password there is.
            TooManyTries: too many tries of this name failed.
            Conflict: `signed_in_elsewhere`: an identity provider signs them in, and a password would get past it.
        """
        now, token = self._clock.now(), digest(credential)
        session = token and await repository.session(self._database.pool, token, now, IDLE)
        if not session:
            raise Unauthenticated(OVER)
        if await repository.signs_in_elsewhere(self._database.pool, session["account_id"]):
            raise Conflict("signed_in_elsewhere", "your identity provider signs you in; a password is not used")
        subject, counted = session["subject"], {_of_name(session["subject"]): MOST_OF_NAME}
        await self._ensure_few_failures(counted, now)
        before = await repository.by_id(self._database.pool, session["account_id"])
        if before["password"] is not None and not await self._passwords.match(current or "", before["password"]):
            await repository.failed(self._database.pool, list(counted), now)
            raise InvalidInput([FieldProblem("current", "is not your password")])
        hashed = await self._passwords.hash(new)
        async with self._database.pool.acquire() as connection, connection.transaction():
            account = await repository.lock(connection, session["account_id"])
            if account is None or account["password"] != before["password"]:
                raise InvalidInput([FieldProblem("current", "your password was changed a moment ago")])
            await repository.set_password(connection, account["account_id"], hashed)
            await repository.end_sessions(connection, account["account_id"], token)
            await append(connection, now, subject, "password.set", subject, {})

    async def tidy(self) -> None:
        """Remove sessions and links that are over, and failed tries that no longer count."""
        await repository.forget(self._database.pool, self._clock.now(), IDLE, COUNTED)

    async def open(self, connection: Connection, account: Row, by: str) -> tuple[str, SignedIn]:
        """A session of a locked account: its token, and who it is. `by`: how they proved it."""
        now, (token, kept) = self._clock.now(), new_session()
        ends_at = now + LIFE
        await repository.keep_session(connection, kept, account["account_id"], now, ends_at)
        await append(connection, now, account["subject"], "session.started", account["subject"], {"by": by})
        return token, _signed_in(account, account["password"] is not None, ends_at)

    async def ensure_address(self, address: str) -> None:
        """Raises TooManyTries if too many tries from this address failed."""
        await self._ensure_few_failures({_of_address(address): MOST_OF_ADDRESS}, self._clock.now())

    async def failed_from(self, address: str) -> None:
        """A try from this address failed."""
        await self._failed({_of_address(address): MOST_OF_ADDRESS}, None, self._clock.now())

    async def _ensure_few_failures(self, most: Mapping[str, int], now: datetime) -> None:
        for counted_by, allowed in most.items():
            tries, first = await repository.failures(self._database.pool, counted_by, now - COUNTED)
            if tries >= allowed and first is not None:
                wait = ceil((first + COUNTED - now).total_seconds())
                raise TooManyTries(f"too many tries failed; the next is possible in {wait} s", max(wait, 1))

    async def _failed(self, counted: Mapping[str, int], account: Row | None, now: datetime) -> None:
        await repository.failed(self._database.pool, list(counted), now)
        if account is not None:  # names that do not exist would let anybody fill the log
            async with self._database.pool.acquire() as connection, connection.transaction():
                await append(connection, now, account["subject"], "session.refused", account["subject"], {})


def _of_name(name: str) -> str:
    return f"name {name}"


def _of_address(address: str) -> str:
    return f"address {address}"


def _signed_in(account: Row, password_set: bool, ends_at: datetime) -> SignedIn:
    return SignedIn(
        caller=Caller(account["subject"], ROLES[account["role"]]),
        name=account["name"],
        role=account["role"],
        password_set=password_set,
        ends_at=ends_at,
    )
