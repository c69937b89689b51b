"""Find whatever was sent to review, as far as its reader may know of it."""

from dataclasses import replace
from uuid import UUID

from secondlook.common.postgres import Database
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.review.tasks import State
from secondlook.reviewer_api.search import repository
from secondlook.reviewer_api.search.repository import Wanted
from secondlook.reviewer_api.search.schemas import SearchHit, SearchPage, SearchState

STATES: dict[str, SearchState] = {
    State.PENDING: "in_review", State.LEASED: "in_review", State.DECIDED: "in_review", State.PUBLISHED: "decided",
    State.SUPERSEDED: "superseded", State.WITHDRAWN: "withdrawn",
}  # fmt: skip


def states_of(shown: SearchState) -> tuple[State, ...]:
    """The states of tasks that a search shows as this one."""
    return tuple(State(state) for state, name in STATES.items() if name == shown)


class SearchService:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, caller: Caller, wanted: Wanted, after: UUID | None, limit: int) -> SearchPage:
        """What matches, newest first. Without `decisions:any` what the caller judged and is settled; never content of
        which the caller has an open task in hands. An unknown `after` finds nothing."""
        if caller.sources is not None:  # a key of an upstream service that is for these only
            wanted = replace(wanted, sources=tuple(sorted(caller.sources)))
        by = None if caller.may(Permission.DECISIONS_ANY) else caller.subject
        async with self._database.pool.acquire() as connection:
            rows = await repository.search(connection, caller.subject, by, wanted, after, limit + 1)
        items = [SearchHit(**{**row, "state": STATES[row["state"]]}) for row in rows[:limit]]
        return SearchPage(items=items, next=rows[limit - 1]["task_id"] if len(rows) > limit else None)
