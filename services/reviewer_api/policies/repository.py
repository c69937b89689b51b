"""The published policies, in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from secondlook.common.contract.policy import Policy
from secondlook.common.errors import Conflict
from secondlook.common.postgres import Connection, fetch_one

NEWEST = "SELECT max(version) FROM policy"
READ = "SELECT version, document::text, published_at, published_by FROM policy WHERE version = $1"
ALL = """
SELECT version, document->>'name' AS name, published_at, published_by FROM policy ORDER BY version DESC
"""
# Readers do not wait; two publishers take turns, so that versions are dense.
LOCK = "LOCK TABLE policy IN SHARE ROW EXCLUSIVE MODE"
INSERT = "INSERT INTO policy (version, document, published_at, published_by) VALUES ($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """A policy with its version."""

    version: int
    policy: Policy
    published_at: datetime
    published_by: str


class PolicyRepository:
    """Reads and writes policies. A version never changes, so a version once read is kept."""

    def __init__(self) -> None:
        self._known: dict[int, PublishedPolicy] = {}

    async def active(self, connection: Connection) -> PublishedPolicy | None:
        """The policy in force, or None while none was published."""
        newest = await connection.fetchval(NEWEST)
        return None if newest is None else await self.version(connection, newest)

    async def required(self, connection: Connection) -> PublishedPolicy:
        """The policy in force; raises Conflict `no_policy` while none was published."""
        if (found := await self.active(connection)) is None:
            raise Conflict("no_policy", "no policy has been published yet: a lead must publish one first")
        return found

    async def version(self, connection: Connection, version: int) -> PublishedPolicy:
        """One version, which must exist."""
        if version not in self._known:
            row = await fetch_one(connection, READ, version)
            policy = Policy.model_validate_json(row["document"])
            self._known[version] = PublishedPolicy(version, policy, row["published_at"], row["published_by"])
        return self._known[version]

    async def all(self, connection: Connection) -> list[dict[str, Any]]:
        """Every version, newest first, without its document."""
        return [dict(row) for row in await connection.fetch(ALL)]

    async def lock(self, connection: Connection) -> None:
        """Nobody else publishes until this transaction ends."""
        await connection.execute(LOCK)

    async def insert(self, connection: Connection, published: PublishedPolicy) -> None:
        document = published.policy.model_dump_json()
        await connection.execute(INSERT, published.version, document, published.published_at, published.published_by)
