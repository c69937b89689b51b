"""Keep, list and remove a person's texts. One statement each, so there is no repository beside it."""

from uuid import UUID

from secondlook.common.clock import Clock
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.postgres import Database
from secondlook.common.service.permissions import Caller
from secondlook.reviewer_api.replies.schemas import MOST, SavedText

ALL = "SELECT text_id, body AS text, saved_at FROM saved_text WHERE owner = $1 ORDER BY saved_at DESC, text_id"
COUNT = "SELECT count(*) FROM saved_text WHERE owner = $1"
KEEP = """
INSERT INTO saved_text (owner, body, saved_at) VALUES ($1, $2, $3)
ON CONFLICT (owner, body) DO UPDATE SET saved_at = excluded.saved_at
RETURNING text_id, body AS text, saved_at
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('saved_text ' || $1::text, 0))"
REMOVE = "DELETE FROM saved_text WHERE text_id = $1 AND owner = $2 RETURNING true"


class SavedTextService:
    """Everybody sees and changes their own alone."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def all(self, caller: Caller) -> list[SavedText]:
        """The newest first."""
        return [SavedText(**row) for row in await self._database.pool.fetch(ALL, caller.subject)]

    async def keep(self, caller: Caller, text: str) -> SavedText:
        """Keep a text; one that is kept already comes first again.

        Raises:
            Conflict: `too_many_texts`.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, caller.subject)
            row = await connection.fetchrow(KEEP, caller.subject, text, self._clock.now())
            if await connection.fetchval(COUNT, caller.subject) > MOST:
                raise Conflict("too_many_texts", f"you keep {MOST} texts, which is the most: remove one first")
        assert row is not None  # noqa: S101 - it returns one either way
        return SavedText(**row)

    async def remove(self, caller: Caller, text_id: UUID) -> None:
        """Raises NotFound where the caller keeps no such text."""
        if not await self._database.pool.fetchval(REMOVE, text_id, caller.subject):
            raise NotFound(f"you keep no text {text_id}")
