"""From `review.requested` to tasks: a request makes one task, a newer revision or a cancellation closes older ones."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.bus.wire import trace_of
from secondlook.common.contract.events import (
    ContentSubmitted,
    ReviewCancelled,
    ReviewRequested,
    SecondLookRequested,
    decision_id,
    first_sequence,
)
from secondlook.common.contract.reports import ReviewReported
from secondlook.common.errors import FieldProblem, InvalidInput, RevisionReused
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.reports import repository as reports
from secondlook.reviewer_api.review import requests_repository as repository
from secondlook.reviewer_api.review.escalations import carry_over
from secondlook.reviewer_api.review.reasons import REASONS
from secondlook.reviewer_api.review.requests_repository import Closure, Coordinates, NewTask
from secondlook.reviewer_api.review.second_looks import second_look

GROUP = "reviewer-reviews"
JUDGED = ("text", "kind", "author_id", "context")  # what people judge a revision by; it never changes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a review, its trace, and who never gets the item."""

    request: ReviewRequested
    traceparent: str | None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBatch:
    """What a batch asks for. `refused` goes to the dead letters."""

    requests: Sequence[Asked]
    second_looks: Sequence[tuple[Item, SecondLookRequested]]
    closures: Sequence[Closure]
    refused: Sequence[tuple[Item, InvalidInput]]
    cancelled: int
    reports: Sequence[ReviewReported] = ()


def sort(items: Sequence[Item]) -> RequestBatch:
    """Sort a batch. Pure."""
    requests: list[Asked] = []
    second_looks: list[tuple[Item, SecondLookRequested]] = []
    closures: list[Closure] = []
    refused: list[tuple[Item, InvalidInput]] = []
    told: list[ReviewReported] = []
    cancelled = 0
    for item in items:
        event = item.event
        if isinstance(event, ReviewCancelled):
            cancelled += 1
            closures.append(_closure(event, event.up_to_revision, event.why, event.cancelled_at))
        elif isinstance(event, ReviewReported):
            told.append(event)
        elif isinstance(event, SecondLookRequested):
            second_looks.append((item, event))
        elif isinstance(event, ReviewRequested):
            if _coordinates(event.content) != _coordinates(event):
                problem = FieldProblem("content", "is not the revision that the request names")
                refused.append((item, InvalidInput([problem], reason="wrong_content")))
                continue
            requests.append(Asked(event, trace_of(item.record.headers)))
            if event.revision > 1:
                closures.append(_closure(event, event.revision - 1, "superseded", event.requested_at))
    return RequestBatch(
        requests=requests,
        second_looks=second_looks,
        closures=closures,
        refused=refused,
        cancelled=cancelled,
        reports=told,
    )


def number(reviews: Sequence[Asked], highest: dict[Coordinates, int]) -> list[NewTask]:
    """Give each review the coordinates of the decision it may lead to. Pure.

    A first review takes the revision's first sequence. What looks at a decision again takes the next one that no other
    review has: `highest` are those of the tasks that exist. A review that decides nothing takes none.
    """
    highest = dict(highest)
    tasks = []
    for asked in reviews:
        request, at = asked.request, _coordinates(asked.request)
        sequence = first_sequence(request.revision)
        if request.prior is not None and REASONS[request.why].decides:
            sequence = max(request.prior.sequence, highest.get(at, 0)) + 1
            highest[at] = sequence
        tasks.append(
            NewTask(
                request=request,
                sequence=sequence,
                decision_id=_decision_id(request, sequence),
                traceparent=asked.traceparent,
                excluded=asked.excluded,
            )
        )
    return tasks


def _decision_id(request: ReviewRequested, sequence: int) -> UUID:
    if not REASONS[request.why].decides:
        return request.review_id  # never published
    return decision_id(request.source, request.content_id, request.revision, sequence)


def _coordinates(of: ReviewRequested | SecondLookRequested | ContentSubmitted) -> Coordinates:
    return of.source, of.content_id, of.revision


def _closure(of: ReviewRequested | ReviewCancelled, up_to_revision: int, why: str, at: datetime) -> Closure:
    return Closure(source=of.source, content_id=of.content_id, up_to_revision=up_to_revision, why=why, closed_at=at)


def _again(plan: RequestBatch) -> set[Coordinates]:
    """The revisions of which a decision is looked at again."""
    requests = {_coordinates(asked.request) for asked in plan.requests if asked.request.prior is not None}
    return requests | {_coordinates(event) for _, event in plan.second_looks}


def _hold_to_one_content(reviews: Sequence[Asked], known: dict[Coordinates, ContentSubmitted]) -> None:
    for asked in reviews:
        at, content = _coordinates(asked.request), asked.request.content
        before = known.setdefault(at, content)
        for field in JUDGED:
            if getattr(before, field) != getattr(content, field):
                problem = f"is not that of {at[0]}/{at[1]}, revision {at[2]}, as it was given to people before"
                raise RevisionReused([FieldProblem(f"content.{field}", problem)])


def _refuse_taken(at: Coordinates | None) -> None:
    if at is not None:
        problem = f"is that of a review of something else, not of {at[0]}/{at[1]}, revision {at[2]}"
        raise RevisionReused([FieldProblem("review_id", problem)])


class ReviewRequestHandler:
    """Handler of `review.requested`. A repeated record changes nothing."""

    def __init__(self, metrics: ReviewerMetrics) -> None:
        self._metrics = metrics

    async def prepare(self, items: Sequence[Item]) -> RequestBatch:
        return sort(items)

    async def apply(self, work: UnitOfWork, plan: RequestBatch) -> RequestBatch:
        for item, problem in plan.refused:
            await work.dead_letter(item.record, problem)
        await repository.lock(work.connection, _again(plan))
        await repository.insert_closures(work.connection, plan.closures)
        await self._insert(work, plan.requests, {(c.source, c.content_id) for c in plan.closures})
        await reports.keep(work.connection, plan.reports)
        raised = [report.raised for report in plan.reports if report.raised is not None]
        await repository.raise_tasks(work.connection, {one.review_id: one.priority for one in raised})
        if plan.second_looks:  # last: they may look at what the rest of the batch brought
            await self._insert(work, await self._second_looks(work, plan))
        return plan

    def committed(self, done: RequestBatch) -> None:
        self._metrics.requests.labels("requested").inc(len(done.requests) + len(done.second_looks))
        self._metrics.requests.labels("cancelled").inc(done.cancelled)

    async def _insert(
        self, work: UnitOfWork, reviews: Sequence[Asked], closed: Set[tuple[str, str]] = frozenset()
    ) -> None:
        """Make the tasks, close the open tasks of their content, and of `closed`, that a closure reaches, and escalate
        edits of what was escalated.

        Raises:
            RevisionReused: a revision comes with other content than it was given to people with, or a request with
                the id of another one.
        """
        coordinates = {_coordinates(asked.request) for asked in reviews}
        _hold_to_one_content(reviews, await repository.contents(work.connection, coordinates))
        again = [_coordinates(asked.request) for asked in reviews if asked.request.prior is not None]
        highest = await repository.highest_sequences(work.connection, again)
        await repository.insert_tasks(work.connection, number(reviews, highest), work.clock.now())
        _refuse_taken(await repository.taken(work.connection, [asked.request for asked in reviews]))
        contents = {(asked.request.source, asked.request.content_id) for asked in reviews}
        await repository.close(work.connection, contents | closed)
        await carry_over(work.connection, contents)

    async def _second_looks(self, work: UnitOfWork, plan: RequestBatch) -> list[Asked]:
        found: list[Asked] = []
        reviews = await repository.reviews(work.connection, {_coordinates(event) for _, event in plan.second_looks})
        for item, event in plan.second_looks:
            try:
                look = second_look(event, reviews.get(_coordinates(event), ()))
            except InvalidInput as problem:
                await work.dead_letter(item.record, problem)
                continue
            if look is not None:
                found.append(Asked(look.request, trace_of(item.record.headers), look.excluded))
        return found
