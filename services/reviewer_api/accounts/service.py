"""Make accounts, change them, and give out links that sign in once."""

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.clock import Clock
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.postgres import Connection, Database, Row
from secondlook.reviewer_api.accounts import repository
from secondlook.reviewer_api.accounts.tokens import LINK_LIFE, new_link
from secondlook.reviewer_api.audit_log.repository import append

FIRST = "admin"  # the username of the first account
BY_COMMAND = "secondlook"  # who does what the command line does


class AccountService:
    """Accounts. `by` is the pseudonym of whoever asks; the audit log names it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def all(self) -> list[dict[str, Any]]:
        """Every account, by username."""
        return await repository.every(self._database.pool)

    async def create(self, username: str, name: str | None, role: str, by: str) -> tuple[UUID, str, datetime]:
        """A new account, and a link by which its owner signs in: (account, token, until when).

        Raises:
            Conflict: `username_taken`.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            account_id = await self.add(connection, username, name, role, by)
            token, until = await self._link(connection, account_id, self._clock.now())
        return account_id, token, until

    async def add(self, connection: Connection, username: str, name: str | None, role: str, by: str) -> UUID:
        """A new account, in the caller's transaction; raises Conflict, `username_taken`."""
        now, subject = self._clock.now(), f"{role}-{secrets.token_hex(4)}"
        account_id = await repository.insert(connection, username, name or username, role, subject, now)
        if account_id is None:
            raise Conflict("username_taken", f"there is an account {username} already")
        await append(connection, now, by, "account.created", subject, {"role": role})
        return account_id

    async def change(
        self, account_id: UUID, name: str | None, role: str | None, disabled: bool | None, by: str
    ) -> dict[str, Any]:
        """Change what is not None. A new role, and being disabled, end the account's sessions.

        Raises:
            NotFound: no such account.
            Conflict: `last_admin`: nobody could manage accounts any more.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            managers = await repository.lock_managers(connection)
            before = await self._lock(connection, account_id)
            now = self._clock.now()
            name, role = name or before["name"], role or before["role"]
            disabled_at = before["disabled_at"] if disabled is None else _disabled(disabled, before, now)
            if managers == [account_id] and (role not in repository.MANAGERS or disabled_at is not None):
                raise Conflict("last_admin", "this is the last admin who can sign in; make another one first")
            await repository.change(connection, account_id, name, role, disabled_at)
            if (role, disabled_at) != (before["role"], before["disabled_at"]):
                await repository.end_sessions(connection, account_id)
            told = {"role": role, "disabled": disabled_at is not None}
            await append(connection, now, by, "account.changed", before["subject"], told)
            found = await repository.one(connection, account_id)
        assert found is not None  # noqa: S101 - it is locked
        return found

    async def one(self, account_id: UUID) -> dict[str, Any]:
        """One account; raises NotFound."""
        found = await repository.one(self._database.pool, account_id)
        if found is None:
            raise NotFound(f"there is no account {account_id}")
        return found

    async def find(self, username: str) -> UUID:
        """The account with this username, folded; raises NotFound."""
        found = await repository.by_username(self._database.pool, username)
        if found is None:
            raise NotFound(f"there is no account {username!r}; `secondlook accounts list` shows them")
        account_id: UUID = found["account_id"]
        return account_id

    async def link(self, account_id: UUID, by: str) -> tuple[str, datetime]:
        """A link that signs its owner in once. Older links of the account stop working.

        Raises:
            NotFound: no such account.
            Conflict: `account_disabled` or `signed_in_elsewhere`.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            account, now = await self._lock(connection, account_id), self._clock.now()
            if account["disabled_at"] is not None:
                raise Conflict("account_disabled", f"the account {account['username']} is disabled; enable it first")
            if await repository.signs_in_elsewhere(connection, account_id):
                raise Conflict(
                    "signed_in_elsewhere", "an identity provider signs the account in; a link would pass it by"
                )
            made = await self._link(connection, account_id, now)
            await append(connection, now, by, "link.made", account["subject"], {})
            return made

    async def first_admin(self) -> tuple[str, str]:
        """The username of an admin, who is made where there is none, and a link for them."""
        found = await repository.manager(self._database.pool)
        if found is not None:
            token, _ = await self.link(found["account_id"], BY_COMMAND)
            return found["username"], token
        username = FIRST
        while await repository.by_username(self._database.pool, username):  # it exists, and is no admin any more
            username = f"{FIRST}-{secrets.token_hex(2)}"
        _, token, _ = await self.create(username, None, "admin", BY_COMMAND)
        return username, token

    async def _lock(self, connection: Connection, account_id: UUID) -> Row:
        account = await repository.lock(connection, account_id)
        if account is None:
            raise NotFound(f"there is no account {account_id}")
        return account

    async def _link(self, connection: Connection, account_id: UUID, now: datetime) -> tuple[str, datetime]:
        (token, kept), until = new_link(), now + LINK_LIFE
        await repository.keep_link(connection, kept, account_id, now, until)
        return token, until


def _disabled(disabled: bool, before: Row, now: datetime) -> datetime | None:
    return (before["disabled_at"] or now) if disabled else None
