"""API keys: `sl_<id>_<secret>`. Only the SHA-256 of the secret is stored.

A key has a role, which is a set of permissions; `permissions.py` lists them. The reviewer API owns the keys and tells
the other services which there are; a router also keeps those that were made for it alone by earlier versions.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from secondlook.common.clock import Clock
from secondlook.common.errors import NotFound, Unauthenticated
from secondlook.common.postgres import Database, Queryable
from secondlook.common.service.permissions import ROLES, Caller, Role

USED_TO = timedelta(minutes=1)  # how exactly the last use is kept
MISSING = "send an API key as `Authorization: Bearer sl_…`"
UNKNOWN = "this API key is unknown, revoked or expired"
_SHAPE = re.compile(r"sl_([0-9a-f]{8})_([A-Za-z0-9_-]{32})")

INSERT = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at, sources, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
FIND = """
SELECT role, subject, sources, last_used_at FROM api_key
WHERE key_id = $1 AND secret = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)
"""
USED = """
UPDATE api_key SET last_used_at = $2 WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $3)
"""
ADOPT = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at, sources, expires_at, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""
STORED = """
SELECT key_id, secret, name, role, subject, created_at, sources, expires_at, revoked_at FROM api_key ORDER BY key_id
"""
LIST = """
SELECT key_id, name, role, subject, sources, created_at, expires_at, last_used_at, revoked_at
FROM api_key ORDER BY created_at, key_id
"""
ACTIVE = """
SELECT role, subject, created_at FROM api_key WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
"""
REVOKE = "UPDATE api_key SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL"


class StoredKey(NamedTuple):
    """A row of `api_key`, column by column."""

    key_id: str
    secret: bytes
    name: str
    role: str
    subject: str
    created_at: datetime
    sources: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiKeys:
    """The API keys of one service. An `Authenticator`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def create(
        self,
        name: str,
        role: Role,
        sources: Collection[str] = (),
        expires_at: datetime | None = None,
        within: "Queryable | None" = None,
    ) -> str:
        """A new key. It is returned once and cannot be read again. With `sources` it sends content of no other; from
        `expires_at` on it does not work. `within` a transaction it is there once that is committed."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(24)
        subject = f"{role}-{secrets.token_hex(4)}"
        bound = sorted(set(sources)) or None
        row = (key_id, _digest(secret), name, role, subject, self._clock.now(), bound, expires_at)
        await (within or self._database.pool).execute(INSERT, *row)
        return f"sl_{key_id}_{secret}"

    async def stored(self, within: "Queryable | None" = None) -> Sequence[StoredKey]:
        """All keys as they are stored, also those that were revoked, for `adopt`."""
        return [StoredKey(*row) for row in await (within or self._database.pool).fetch(STORED)]

    async def adopt(self, rows: Sequence[StoredKey], within: "Queryable") -> int:
        """Take over keys that another service has `stored`; returns how many were new here."""
        return sum([await within.execute(ADOPT, *row) == "INSERT 0 1" for row in rows])

    async def list(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return [dict(row) for row in await self._database.pool.fetch(LIST)]

    async def revoke(self, key_id: str, within: "Queryable | None" = None) -> None:
        """The key stops working with the next request, `within` a transaction once that is committed; raises
        NotFound."""
        if await (within or self._database.pool).execute(REVOKE, key_id, self._clock.now()) != "UPDATE 1":
            raise NotFound(f"no active key {key_id!r}; `secondlook keys list` shows them")

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a key.

        Raises:
            Unauthenticated: no key, or one that is unknown, revoked or over.
        """
        if credential is None:
            raise Unauthenticated(MISSING)
        known, now = read_key(credential), self._clock.now()
        row = known and await self._database.pool.fetchrow(FIND, *known, now)
        if not row or not known:
            raise Unauthenticated(UNKNOWN)
        if row["last_used_at"] is None or row["last_used_at"] < now - USED_TO:
            await self._database.pool.execute(USED, known[0], now, now - USED_TO)
        sources = None if row["sources"] is None else frozenset(row["sources"])
        return Caller(row["subject"], ROLES[row["role"]], sources)


async def key_holders(connection: Queryable, now: datetime) -> list[tuple[Caller, datetime]]:
    """Everyone who has a key that works, and since when."""
    rows = await connection.fetch(ACTIVE, now)
    return [(Caller(row["subject"], ROLES[row["role"]]), row["created_at"]) for row in rows]


def read_key(credential: str) -> tuple[str, bytes] | None:
    """The id of a key and the SHA-256 of its secret; None for what is no key."""
    match = _SHAPE.fullmatch(credential)
    return (match[1], _digest(match[2])) if match else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
