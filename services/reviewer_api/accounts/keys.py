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

    def __init__(self, database: Database, clock: Clock) -> None:
        self._keys, self._database, self._clock = ApiKeys(database, clock), database, clock

    async def all(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return await self._keys.list()

    async def create(
        self, name: str, role: Role, sources: Collection[str], expires_at: datetime | None, by: str
    ) -> str:
        """A new key, shown once."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            key = await self._keys.create(name, role, sources, expires_at, within=connection)
            await append(connection, self._clock.now(), by, "key.created", f"key {id_of(key)}", {"role": role})
        return key

    async def revoke(self, key_id: str, by: str) -> None:
        """The key stops working with the next request; raises NotFound."""
        async with self._database.pool.acquire() as connection, connection.transaction():
            await self._keys.revoke(key_id, within=connection)
            await append(connection, self._clock.now(), by, "key.revoked", f"key {key_id}", {})


def id_of(key: str) -> str:
    """What names the key, and is no secret: `sl_<id>_<secret>`."""
    return key.split("_")[1]


class KeysAndSessions:
    """An `Authenticator` of both: a session's token says by its prefix that it is one."""

    def __init__(self, keys: ApiKeys, sign_in: SignIn) -> None:
        self._keys, self._sign_in = keys, sign_in

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a key or a session's token; raises Unauthenticated."""
        if credential is not None and credential.startswith(SESSION_PREFIX):
            return await self._sign_in.authenticate(credential)
        return await self._keys.authenticate(credential)
