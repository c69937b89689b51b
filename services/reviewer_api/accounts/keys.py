"""API keys of this service, made and revoked by people who are named in the audit log; and who calls, by either."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from secondlook.common.clock import Clock
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.authentication import SESSION_PREFIX
from secondlook.common.service.permissions import Caller, Role
from secondlook.reviewer_api.accounts.sign_in import SignIn
from secondlook.reviewer_api.audit_log.repository import append


class KeyService:
    """As ApiKeys, with an entry in the audit log for what is done."""

    def __init__(self, keys: ApiKeys, database: Database, clock: Clock) -> None:
        self._keys, self._database, self._clock = keys, database, clock

    async def all(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return await self._keys.list()

    async def create(
        self, name: str, role: Role, sources: Collection[str], expires_at: datetime | None, by: str
    ) -> str:
        """A new key, shown once."""
        key = await self._keys.create(name, role, sources, expires_at)
        await self._log(by, "key.created", key.split("_")[1], {"role": role})
        return key

    async def revoke(self, key_id: str, by: str) -> None:
        """The key stops working with the next request; raises NotFound."""
        await self._keys.revoke(key_id)
        await self._log(by, "key.revoked", key_id, {})

    async def _log(self, by: str, action: str, key_id: str, details: dict[str, str]) -> None:
        async with self._database.pool.acquire() as connection, connection.transaction():
            await append(connection, self._clock.now(), by, action, f"key {key_id}", details)


class KeysAndSessions:
    """An `Authenticator` of both: a session's token says by its prefix that it is one."""

    def __init__(self, keys: ApiKeys, sign_in: SignIn) -> None:
        self._keys, self._sign_in = keys, sign_in

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a key or a session's token; raises Unauthenticated."""
        if credential is not None and credential.startswith(SESSION_PREFIX):
            return await self._sign_in.authenticate(credential)
        return await self._keys.authenticate(credential)
