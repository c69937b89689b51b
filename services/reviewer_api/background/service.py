"""What stands beside an item while somebody judges it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from secondlook.common.clock import Clock
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.postgres import Connection, Database
from secondlook.common.service.permissions import Caller
from secondlook.reviewer_api.background import repository
from secondlook.reviewer_api.background.schemas import Author, Background, LabelCount, PastContent, WrittenNote
from secondlook.reviewer_api.reports.repository import of_content


class BackgroundService:
    """Only settled content is shown: what has an open task, of whatever kind, is left out everywhere."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def of_task(self, task_id: UUID, caller: Caller) -> Background:
        """What stands beside an item that the caller holds; raises Conflict `lease_lost` if they do not."""
        async with self._database.pool.acquire() as connection:
            item = await repository.held(connection, task_id, caller.subject, self._clock.now())
            if item is None:
                raise Conflict("lease_lost", "you do not hold this item")
            source, content_id, author, url, first = item
            return Background(
                author=await _author(connection, source, author, content_id) if author else None,
                thread=_past(await repository.of_thread(connection, source, url, content_id)) if url else [],
                # Later notes would tell that the revision was in review before.
                notes=written(await repository.notes(connection, source, content_id, first)),
                # Of every kind of item alike, and without times: when users reported it would tell when it was new.
                reports=await of_content(connection, source, content_id),
            )

    async def author(self, source: str, author_id: str) -> Author:
        """One author's settled content; nothing, if nobody was asked about any."""
        async with self._database.pool.acquire() as connection:
            return await _author(connection, source, author_id, "")

    async def write(self, source: str, content_id: str, caller: Caller, text: str) -> WrittenNote:
        """Keep a note; raises NotFound where nobody was ever asked about the content."""
        now = self._clock.now()
        async with self._database.pool.acquire() as connection:
            if not await repository.known(connection, source, content_id):
                raise NotFound(f"nobody was asked about {source}/{content_id}, so there is nothing to note on")
            await repository.write(connection, source, content_id, caller.subject, now, text)
        return WrittenNote(by=caller.subject, at=now, text=text)


async def _author(connection: Connection, source: str, author_id: str, but: str) -> Author:
    rows = await repository.of_author(connection, source, author_id, but)
    outcomes = Counter(row["outcome"] for row in rows)
    labels = Counter(label for row in rows for label in row["labels"])
    return Author(
        author_id=author_id,
        items=len(rows),
        approved=outcomes["approve"],
        rejected=outcomes["reject"],
        labels=[LabelCount(label=label, items=count) for label, count in labels.most_common()],
        recent=_past(rows[: repository.RECENT]),
    )


def _past(rows: Sequence[Mapping[str, Any]]) -> list[PastContent]:
    return [PastContent(**{name: row[name] for name in PastContent.model_fields}) for row in rows]


def written(rows: Sequence[Mapping[str, Any]]) -> list[WrittenNote]:
    """Notes as answers show them."""
    return [WrittenNote(by=row["written_by"], at=row["written_at"], text=row["body"]) for row in rows]
