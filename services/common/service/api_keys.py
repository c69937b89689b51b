"""API keys: `sl_<id>_<secret>`. Each service keeps its own, and stores only the SHA-256 of the secret.

A key has a role, which is a set of permissions; `permissions.py` lists them.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from secondlook.common.clock import Clock
from secondlook.common.errors import NotFound, Unauthenticated
from secondlook.common.postgres import Database, Queryable
from secondlook.common.service.permissions import ROLES, Caller, Role

_SHAPE = re.compile(r"^sl_([0-9a-f]{8})_([A-Za-z0-9_-]{32})$")

INSERT = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at, sources) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
FIND = "SELECT role, subject, sources FROM api_key WHERE key_id = $1 AND secret = $2 AND revoked_at IS NULL"
LIST = """
SELECT key_id, name, role, subject, sources, created_at, revoked_at FROM api_key ORDER BY created_at, key_id
"""
ACTIVE = "SELECT role, subject, created_at FROM api_key WHERE revoked_at IS NULL"
REVOKE = "UPDATE api_key SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL"


class ApiKeys:
    """The API keys of one service. An `Authenticator`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def create(self, name: str, role: Role, sources: Collection[str] = ()) -> str:
        """A new key. It is returned once and cannot be read again. With `sources` it sends content of no other."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(24)
        subject = f"{role}-{secrets.token_hex(4)}"
        bound = sorted(set(sources)) or None
        row = (key_id, _digest(secret), name, role, subject, self._clock.now(), bound)
        await self._database.pool.execute(INSERT, *row)
        return f"sl_{key_id}_{secret}"

    async def list(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return [dict(row) for row in await self._database.pool.fetch(LIST)]

    async def revoke(self, key_id: str) -> None:
        """The key stops working with the next request; raises NotFound."""
        if await self._database.pool.execute(REVOKE, key_id, self._clock.now()) != "UPDATE 1":
            raise NotFound(f"no active key {key_id!r}; `secondlook keys list` shows them")

    async def authenticate(self, credential: str | None) -> Caller:
        """The caller behind a key.

        Raises:
            Unauthenticated: no key, or one that is unknown or revoked.
        """
        if credential is None:
            raise Unauthenticated("send an API key as `Authorization: Bearer sl_…`")
        match = _SHAPE.match(credential)
        row = match and await self._database.pool.fetchrow(FIND, match[1], _digest(match[2]))
        if not row:
            raise Unauthenticated("this API key is unknown or revoked")
        sources = None if row["sources"] is None else frozenset(row["sources"])
        return Caller(row["subject"], ROLES[row["role"]], sources)


async def active_callers(connection: Queryable) -> list[tuple[Caller, datetime]]:
    """Everyone who has a key that was not revoked, and since when."""
    rows = await connection.fetch(ACTIVE)
    return [(Caller(row["subject"], ROLES[row["role"]]), row["created_at"]) for row in rows]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
