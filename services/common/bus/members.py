"""Membership of a group that shares things of which each has one owner at a time, by advisory locks of PostgreSQL.

Membership and ownership are locks of one session, so they end with it: with the process, or when PostgreSQL ends a
session that was silent for `SILENT_SECONDS` (a member that is suspended or cut off). Members, in the order of their
ids, take every n-th thing. A lock tells who should work; epochs and keys in the database decide who may write.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Sequence
from typing import Any

from secondlook.common.errors import DatabaseUnavailable
from secondlook.common.postgres import TRANSIENT, Connection, Database, Row

BALANCE_SECONDS = 1.0
SILENT_SECONDS = 15

SILENT = f"SET idle_session_timeout = '{SILENT_SECONDS}s'"
JOIN = "SELECT pg_advisory_lock(hashtext($1), $2)"
MEMBERS = """
SELECT objid::bigint AS member FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2
  AND classid = (hashtext($1)::bigint & 4294967295)::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY objid
"""
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


class Membership:
    """One member. Its session also listens: a NOTIFY on `channel` ends `wait`."""

    def __init__(self, database: Database, group: str, channel: str) -> None:
        self._database, self._group, self._channel = database, group, channel
        self._member = secrets.randbits(31)
        self._balanced_at = -math.inf
        self._wake = asyncio.Event()
        self._session: Connection | None = None
        self._turn = asyncio.Lock()
        self._alive: asyncio.Task[None] | None = None

    async def join(self) -> bool:
        """Be a member. True if the session is new: the member owns nothing any more that it owned before."""
        if self._session is not None and not self._session.is_closed():
            return False
        self.close()
        self._session = session = await self._database.connect()
        await session.execute(SILENT)
        await session.add_listener(self._channel, lambda *_: self._wake.set())
        await session.execute(JOIN, self._group, self._member)
        self._alive = asyncio.create_task(self._stay_alive())
        return True

    async def _stay_alive(self) -> None:
        """Keep the session from being silent while this process runs, however long its work takes."""
        with contextlib.suppress(*TRANSIENT):
            while True:
                await asyncio.sleep(SILENT_SECONDS / 5)
                await self._ask("SELECT 1")

    async def _ask(self, query: str, *arguments: Any) -> list[Row]:
        async with self._turn:
            if self._session is None:
                raise DatabaseUnavailable(f"{self._group}: not a member, join first")
            return await self._session.fetch(query, *arguments)

    @property
    def due(self) -> bool:
        """Whether it is time to look who the members are."""
        return time.monotonic() - self._balanced_at >= BALANCE_SECONDS

    def balanced(self) -> None:
        """This member owns its share: look again after `BALANCE_SECONDS`."""
        self._balanced_at = time.monotonic()

    async def mine(self, things: Sequence[Any]) -> list[Any]:
        """The things that this member should own."""
        members = [row["member"] for row in await self._ask(MEMBERS, self._group)]
        rank = members.index(self._member)
        return list(things[rank :: len(members)])

    async def lock(self, thing: str) -> bool:
        """Try to own a thing; False while another member has it."""
        rows = await self._ask(TRY_LOCK, f"{self._group}/{thing}")
        return bool(rows[0][0])

    async def unlock(self, thing: str) -> None:
        """Give a thing up."""
        await self._ask(UNLOCK, f"{self._group}/{thing}")

    def clear(self) -> None:
        """Forget earlier notifications; `wait` then returns for later ones only."""
        self._wake.clear()

    async def wait(self, seconds: float) -> None:
        """Return on a notification, or after `seconds`."""
        # Not wait_for: before Python 3.12 it loses a cancellation that arrives together with the wake-up.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def close(self) -> None:
        """Leave. This ends the session and with it its locks, also when the server no longer answers."""
        session, self._session = self._session, None
        alive, self._alive = self._alive, None
        self._balanced_at = -math.inf
        if alive is not None:
            alive.cancel()
        if session is not None:
            session.terminate()
