"""API keys, made and revoked by people who are named in the audit log, and told to every service; and who calls."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from secondlook.common.bus.wire import MAX_BYTES
from secondlook.common.contract.access import KeysPublished, PublishedKey
from secondlook.common.errors import InvalidInput
from secondlook.common.service.api_keys import ApiKeys, StoredKey
from secondlook.common.service.authentication import SESSION_PREFIX
from secondlook.common.service.permissions import Caller, Role
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.reviewer_api.accounts.sign_in import SignIn
from secondlook.reviewer_api.audit_log.repository import append

NEXT = "UPDATE key_list SET version = greatest(version, $1) + 1 RETURNING version"


class KeyService:
    """As ApiKeys, with an entry in the audit log for what is done, and the list of keys published with it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._keys = ApiKeys(transactions.database, transactions.clock)

    async def all(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return await self._keys.list()

    async def create(
        self, name: str, role: Role, sources: Collection[str], expires_at: datetime | None, by: str
    ) -> str:
        """A new key, shown once. It opens all services: the router once it has heard of it.

        Raises:
            InvalidInput: there are more keys than a record of the bus holds; some must be revoked first.
        """
        async with self._transactions.begin() as work:
            key = await self._keys.create(name, role, sources, expires_at, within=work.connection)
            await append(work.connection, work.clock.now(), by, "key.created", f"key {id_of(key)}", {"role": role})
            await self._tell(work)
        return key

    async def revoke(self, key_id: str, by: str) -> None:
        """The key stops working with the next request, at the router a moment later; raises NotFound."""
        async with self._transactions.begin() as work:
            await self._keys.revoke(key_id, within=work.connection)
            await append(work.connection, work.clock.now(), by, "key.revoked", f"key {key_id}", {})
            await self._tell(work)

    async def adopt(self, stored: Sequence[StoredKey], by: str) -> int:
        """Take over keys that were made for another service, so that they open all; returns how many were new."""
        async with self._transactions.begin() as work:
            new = await self._keys.adopt(stored, work.connection)
            if new:
                told = {"keys": [key.key_id for key in stored][:100]}
                await append(work.connection, work.clock.now(), by, "keys.adopted", f"{new} keys", told)
                await self._tell(work)
        return new

    async def published(self) -> tuple[tuple[PublishedKey, ...], tuple[str, ...]]:
        """The keys that work and the ids of those that were revoked, as they should be on the bus."""
        return _listed(await self._keys.stored())

    async def publish_again(self, over: int = 0) -> None:
        """Publish the list as it is, as a later version than `over`."""
        async with self._transactions.begin() as work:
            await self._tell(work, over)

    async def _tell(self, work: UnitOfWork, over: int = 0) -> None:
        # The row first: whoever holds it sees all that was committed before, and publishes next.
        version = await work.connection.fetchval(NEXT, over)
        keys, revoked = _listed(await self._keys.stored(work.connection))
        event = KeysPublished(version=version, keys=keys, revoked=revoked, published_at=work.clock.now())
        if len(event.model_dump_json()) > MAX_BYTES:
            raise InvalidInput(f"{len(keys):,} keys work and no more can be made: revoke those that nobody uses")
        work.publish(event)


def _listed(stored: Sequence[StoredKey]) -> tuple[tuple[PublishedKey, ...], tuple[str, ...]]:
    keys = tuple(
        PublishedKey(
            key_id=key.key_id, secret_sha256=key.secret.hex(), role=key.role, subject=key.subject,
            sources=None if key.sources is None else tuple(key.sources), expires_at=key.expires_at,
        )
        for key in stored if key.revoked_at is None
    )  # fmt: skip
    return keys, tuple(key.key_id for key in stored if key.revoked_at is not None)


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
