"""From `review.requested` to tasks: a request makes one task, a newer revision or a cancellation closes older ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.errors import FieldProblem, InvalidInput
from services.common.events import ReviewCancelled, ReviewRequested, Why, decision_id, first_sequence
from services.common.stream import Item
from services.common.unit_of_work import UnitOfWork
from services.common.wire import trace_of
from services.reviewer_api.metrics import ReviewerMetrics
from services.reviewer_api.review import intake_repository as repository
from services.reviewer_api.review.intake_repository import Closure, Coordinates, NewTask

GROUP = "reviewer-reviews"


@dataclass(frozen=True, slots=True)
class Intake:
    """What a batch asks for. `refused` goes to the dead letters."""

    requests: Sequence[tuple[ReviewRequested, str | None]]
    closures: Sequence[Closure]
    refused: Sequence[tuple[Item, InvalidInput]]
    cancelled: int


def read(items: Sequence[Item]) -> Intake:
    """Sort a batch. Pure."""
    requests: list[tuple[ReviewRequested, str | None]] = []
    closures: list[Closure] = []
    refused: list[tuple[Item, InvalidInput]] = []
    cancelled = 0
    for item in items:
        event = item.event
        if isinstance(event, ReviewCancelled):
            cancelled += 1
            closures.append(
                Closure(event.source, event.content_id, event.up_to_revision, event.why, event.cancelled_at)
            )
        elif isinstance(event, ReviewRequested):
            content = event.content
            if (content.source, content.content_id, content.revision) != _coordinates(event):
                problem = FieldProblem("content", "is not the revision that the request names")
                refused.append((item, InvalidInput([problem], reason="wrong_content")))
                continue
            requests.append((event, trace_of(item.record.headers)))
            if event.revision > 1:
                closures.append(
                    Closure(event.source, event.content_id, event.revision - 1, "superseded", event.requested_at)
                )
    return Intake(requests, closures, refused, cancelled)


def number(intake: Intake, highest: dict[Coordinates, int]) -> list[NewTask]:
    """Give each request the coordinates of the decision it may lead to. Pure.

    A first review takes the revision's first sequence. What looks at a decision again takes the next one that no other
    review has: `highest` are those of the tasks that exist. A gold item decides nothing, so it takes none.
    """
    highest = dict(highest)
    tasks = []
    for request, trace in intake.requests:
        at = _coordinates(request)
        sequence = first_sequence(request.revision)
        if request.prior is not None and request.why is not Why.GOLD:
            sequence = max(request.prior.sequence, highest.get(at, 0)) + 1
            highest[at] = sequence
        tasks.append(NewTask(request, sequence, _decision_id(request, sequence), trace))
    return tasks


def _decision_id(request: ReviewRequested, sequence: int) -> UUID:
    if request.why is Why.GOLD:
        return request.review_id
    return decision_id(request.source, request.content_id, request.revision, sequence)


def _coordinates(request: ReviewRequested) -> Coordinates:
    return request.source, request.content_id, request.revision


class ReviewIntake:
    """Handler of `review.requested`. A record that comes again changes nothing."""

    def __init__(self, metrics: ReviewerMetrics) -> None:
        self._metrics = metrics

    async def prepare(self, items: Sequence[Item]) -> Intake:
        return read(items)

    async def apply(self, work: UnitOfWork, plan: Intake) -> None:
        for item, problem in plan.refused:
            await work.dead_letter(item.record, problem)
        again = [_coordinates(request) for request, _ in plan.requests if request.prior is not None]
        highest = await repository.highest_sequences(work.connection, again)
        await repository.insert_tasks(work.connection, number(plan, highest), work.clock.now())
        await repository.insert_closures(work.connection, plan.closures)
        asked = {(request.source, request.content_id) for request, _ in plan.requests}
        await repository.close(work.connection, asked | {(c.source, c.content_id) for c in plan.closures})

    def committed(self, plan: Intake) -> None:
        self._metrics.requests.labels("requested").inc(len(plan.requests))
        self._metrics.requests.labels("cancelled").inc(plan.cancelled)
