"""Read the audit log, and check its chain."""

from secondlook.common.postgres import Database
from secondlook.reviewer_api.audit_log import repository
from secondlook.reviewer_api.audit_log.chain import BEGINNING, LogEntry


class AuditLogService:
    """Reads only: whoever does something writes its entry with it, by `repository.append`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: int | None, limit: int) -> list[LogEntry]:
        """Up to `limit` entries, newest first, before the number `after`."""
        async with self._database.pool.acquire() as connection:
            return await repository.page(connection, after, limit)

    async def verify(self) -> tuple[int, str | None]:
        """How many entries there are, and what is wrong with the first that does not follow from the one before.

        It reads them all as of one moment. An end that was cut off does not show: hold the count against an earlier
        one.
        """
        count, before = 0, BEGINNING
        async with self._database.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            async for entry in repository.everything(connection):
                if (problem := entry.problem_after(count, before)) is not None:
                    return count, problem
                count, before = count + 1, entry.hash
        return count, None
