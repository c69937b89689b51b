"""Read decisions, and the whole history of one piece of content."""

from typing import Any
from uuid import UUID

from secondlook.common.errors import FieldProblem, InvalidInput, NotFound
from secondlook.common.postgres import Connection, Database
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.background.repository import notes
from secondlook.reviewer_api.background.service import written
from secondlook.reviewer_api.decisions import repository
from secondlook.reviewer_api.decisions.router import RouterReads
from secondlook.reviewer_api.decisions.schemas import (
    Content,
    Decision,
    DecisionPage,
    GivenJudgement,
    Review,
    RevisionState,
)
from secondlook.reviewer_api.reports.repository import of_content
from secondlook.reviewer_api.review.schemas import ReviewContent
from secondlook.reviewer_api.review.tasks import State

OPEN = (State.PENDING, State.LEASED, State.DECIDED)


class DecisionService:
    """Reads only. A decision appears here a moment after its publication, as with every other consumer."""

    def __init__(self, database: Database, router: RouterReads | None = None) -> None:
        self._database, self._router = database, router

    async def page(
        self,
        caller: Caller,
        outcome: str | None,
        decided_by: str | None,
        source: str | None,
        after: UUID | None,
        limit: int,
    ) -> DecisionPage:
        """Decisions that match, newest first, behind `after`; raises InvalidInput where that one is unknown.

        Without `decisions:any` only the caller's own; never one on content of which the caller has an open task in
        hands.
        """
        own, reader = _own(caller), caller.subject
        async with self._database.pool.acquire() as connection:
            if after is not None and not await repository.exists(connection, after, own, reader):
                raise InvalidInput([FieldProblem("after", "no such decision")])
            rows = await repository.page(
                connection, outcome, decided_by, source, after, limit + 1, by=own, reader=reader,
                sources=caller.sources,
            )  # fmt: skip
        decisions = [Decision(**row) for row in rows[:limit]]
        return DecisionPage(decisions=decisions, next=decisions[-1].decision_id if len(rows) > limit else None)

    async def content(self, caller: Caller, source: str, content_id: str, credential: str | None = None) -> Content:
        """State and history of one piece of content; of one that nothing is known of, what the router knows.

        While a task of it is open, its reviewers learn that and nothing else, whatever kind of task it is: those who
        may claim it, and whoever has it in hands. Without `decisions:any` the history is what the caller decided.

        Raises:
            NotFound: it was never seen, or the caller may not see any of it.
            Forbidden: the caller's key is for other sources.
        """
        caller.ensure_source(source)
        own = _own(caller)
        async with self._database.pool.acquire() as connection:
            reader = None if own else caller.subject
            if numbers := await repository.in_review(connection, source, content_id, reader):
                revisions = [RevisionState(revision=number, state="in_review") for number in numbers]
                return Content(source=source, content_id=content_id, revisions=revisions, decisions=[], tasks=[])
            decisions = [Decision(**row) for row in await repository.of_content(connection, source, content_id, own)]
            tasks = [Review(**row) for row in await repository.tasks_of_content(connection, source, content_id, own)]
            told = await _told(connection, source, content_id) if own is None else {}
        if not decisions and not tasks and self._router is not None and credential is not None and own is None:
            revisions = await self._router.standing(source, content_id, credential)
            if revisions:
                return Content(source=source, content_id=content_id, revisions=revisions, decisions=[], tasks=[])
        if not decisions and not tasks:
            whose = "" if own is None else " by you"
            raise NotFound(f"{source}/{content_id} was never decided or reviewed{whose}")
        return Content(
            source=source,
            content_id=content_id,
            revisions=_revisions(decisions, tasks),
            decisions=decisions,
            tasks=tasks,
            **told,
        )


async def _told(connection: Connection, source: str, content_id: str) -> dict[str, Any]:
    """What the content says, and what reviewers and users said of it; nothing while any of it is in review."""
    if await repository.in_review(connection, source, content_id, None):
        return {}
    text = await repository.text(connection, source, content_id)
    return {
        "content": ReviewContent.of(text) if text else None,
        "judgements": [GivenJudgement(**row) for row in await repository.judgements(connection, source, content_id)],
        "notes": written(await notes(connection, source, content_id)),
        "reports": await of_content(connection, source, content_id),
    }


def _own(caller: Caller) -> str | None:
    """Whose decisions the caller reads: their own, or None for everybody's."""
    return None if caller.may(Permission.DECISIONS_ANY) else caller.subject


def _revisions(decisions: list[Decision], tasks: list[Review]) -> list[RevisionState]:
    decided = {decision.revision for decision in decisions}
    decided |= {task.revision for task in tasks if task.state is State.PUBLISHED}
    in_review = {task.revision for task in tasks if task.state in OPEN}
    withdrawn = {task.revision for task in tasks if task.state is State.WITHDRAWN}
    found = []
    for number in sorted(decided | {task.revision for task in tasks}):
        if number in decided:
            found.append(RevisionState(revision=number, state="decided"))
        elif number in in_review:
            found.append(RevisionState(revision=number, state="in_review"))
        else:
            found.append(RevisionState(revision=number, state="withdrawn" if number in withdrawn else "superseded"))
    return found
