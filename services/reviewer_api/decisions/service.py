"""Read decisions, and the whole history of one piece of content."""

from uuid import UUID

from secondlook.common.errors import FieldProblem, InvalidInput, NotFound
from secondlook.common.postgres import Database
from secondlook.reviewer_api.decisions import repository
from secondlook.reviewer_api.decisions.schemas import Content, Decision, DecisionPage, Review, RevisionState
from secondlook.reviewer_api.review.tasks import State

OPEN = (State.PENDING, State.LEASED, State.DECIDED)


class DecisionService:
    """Reads only. A decision appears here a moment after its publication, as with every other consumer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, outcome: str | None, decided_by: str | None, source: str | None, after: UUID | None, limit: int
    ) -> DecisionPage:
        """Decisions that match, newest first, behind `after`; raises InvalidInput where that one is unknown."""
        async with self._database.pool.acquire() as connection:
            if after is not None and not await repository.exists(connection, after):
                raise InvalidInput([FieldProblem("after", "no such decision")])
            rows = await repository.page(connection, outcome, decided_by, source, after, limit + 1)
        decisions = [Decision(**row) for row in rows[:limit]]
        return DecisionPage(decisions=decisions, next=decisions[-1].decision_id if len(rows) > limit else None)

    async def content(self, source: str, content_id: str) -> Content:
        """State and history of one piece of content; raises NotFound where it was never seen."""
        async with self._database.pool.acquire() as connection:
            decisions = [Decision(**row) for row in await repository.of_content(connection, source, content_id)]
            tasks = [Review(**row) for row in await repository.tasks_of_content(connection, source, content_id)]
        if not decisions and not tasks:
            raise NotFound(f"{source}/{content_id} was never decided or reviewed")
        return Content(
            source=source,
            content_id=content_id,
            revisions=_revisions(decisions, tasks),
            decisions=decisions,
            tasks=tasks,
        )


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
