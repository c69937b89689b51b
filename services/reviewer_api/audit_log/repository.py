"""The audit log in Postgres."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from secondlook.common.postgres import Connection
from secondlook.reviewer_api.audit_log.chain import BEGINNING, LogEntry

# Held until commit, so that entries are chained in the order of their numbers. Written last in a transaction.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('secondlook/audit_log'))"
NEWEST = "SELECT number, hash FROM audit_log ORDER BY number DESC LIMIT 1"
INSERT = "INSERT INTO audit_log (number, at, actor, action, object, details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)"
PAGE = """
SELECT number, at, actor, action, object, details, hash FROM audit_log
WHERE ($1::bigint IS NULL OR number < $1) ORDER BY number DESC LIMIT $2
"""
ALL = "SELECT number, at, actor, action, object, details, hash FROM audit_log ORDER BY number"


async def append(
    connection: Connection, at: datetime, actor: str, action: str, object: str, details: Mapping[str, Any]
) -> None:
    """Add an entry in the caller's transaction: what it tells of and the entry are committed together, or neither."""
    await connection.execute(LOCK)
    newest = await connection.fetchrow(NEWEST)
    number, before = (newest["number"], newest["hash"]) if newest else (0, BEGINNING)
    entry = LogEntry(number=number + 1, at=at, actor=actor, action=action, object=object, details=details)
    entry = replace(entry, hash=entry.chained(before))
    await connection.execute(INSERT, entry.number, at, actor, action, object, dict(details), entry.hash)


async def page(connection: Connection, after: int | None, limit: int) -> list[LogEntry]:
    """Entries, newest first, before the number `after`."""
    return [LogEntry(**row) for row in await connection.fetch(PAGE, after, limit)]


async def everything(connection: Connection) -> AsyncIterator[LogEntry]:
    """All entries, oldest first, within the caller's transaction."""
    async for row in connection.cursor(ALL):
        yield LogEntry(**row)
