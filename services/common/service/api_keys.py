"""API keys: `sl_<id>_<secret>`. Each service keeps its own; only the SHA-256 of the secret is stored.

Roles: `upstream` publishes content; `reviewer` reviews; `lead` also works escalations and publishes policies; `admin`
may do all of it.
"""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from secondlook.common.clock import Clock
from secondlook.common.errors import Forbidden, NotFound, Unauthenticated
from secondlook.common.postgres import Database

Role = Literal["upstream", "reviewer", "lead", "admin"]
_SHAPE = re.compile(r"^sl_([0-9a-f]{8})_([A-Za-z0-9_-]{32})$")

INSERT = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
FIND = "SELECT role, subject FROM api_key WHERE key_id = $1 AND secret = $2 AND revoked_at IS NULL"
LIST = "SELECT key_id, name, role, subject, created_at, revoked_at FROM api_key ORDER BY created_at, key_id"
REVOKE = "UPDATE api_key SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `subject` is a pseudonym, safe to publish."""

    subject: str
    role: Role

    @property
    def is_lead(self) -> bool:
        return self.role in ("lead", "admin")


class ApiKeys:
    """The API keys of one service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def create(self, name: str, role: Role) -> str:
        """A new key. It is returned once and cannot be read again."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(24)
        subject = f"{role}-{secrets.token_hex(4)}"
        await self._database.pool.execute(INSERT, key_id, _digest(secret), name, role, subject, self._clock.now())
        return f"sl_{key_id}_{secret}"

    async def list(self) -> list[dict[str, Any]]:
        """All keys, without their secrets."""
        return [dict(row) for row in await self._database.pool.fetch(LIST)]

    async def revoke(self, key_id: str) -> None:
        """The key stops working with the next request; raises NotFound."""
        if await self._database.pool.execute(REVOKE, key_id, self._clock.now()) != "UPDATE 1":
            raise NotFound(f"no active key {key_id!r}; `secondlook keys list` shows them")

    async def authenticate(self, key: str | None) -> Caller:
        """The caller behind a key.

        Raises:
            Unauthenticated: no key, or one that is unknown or revoked.
        """
        if key is None:
            raise Unauthenticated("send an API key as `Authorization: Bearer sl_…`")
        match = _SHAPE.match(key)
        row = match and await self._database.pool.fetchrow(FIND, match[1], _digest(match[2]))
        if not row:
            raise Unauthenticated("this API key is unknown or revoked")
        return Caller(row["subject"], row["role"])


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


_bearer = HTTPBearer(auto_error=False, description="API key: `sl_…`")


def require(keys: ApiKeys, *roles: Role) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency: the caller, if its role is one of `roles` or `admin`."""

    async def caller(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        found = await keys.authenticate(credentials.credentials if credentials else None)
        if found.role not in (*roles, "admin"):
            raise Forbidden(f"role {found.role} may not do this; it takes {' or '.join(roles)}")
        return found

    return caller
