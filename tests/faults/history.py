"""The history checker: what must hold of everything that was accepted, stored and published. Pure.

- Nothing is lost: every accepted revision ends in one decision, or a later accepted event took its place.
- Nothing is contradictory: a repeat on the wire is the same record, and a revision is decided once.
- Nothing is reordered: what a service says of a key comes in the order in which it was stored.
- Nothing is unexplained: the published set is the set that the tables say was published.
- Positions and epochs only grow, and reach the ends of their topics.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from secondlook.common.contract.events import (
    ContentDecided,
    ContentLabelled,
    ContentSubmitted,
    Event,
    ReviewCancelled,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    label_id,
    review_id,
)
from tests.faults.facts import REVIEWER_API, ROUTER, History, Key, Revision, Task

FINAL = ("published", "superseded", "withdrawn")

Kind = Literal["lost", "contradictory", "reordered", "unexplained", "fell back", "unsettled"]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    kind: Kind
    what: str


def check(history: History) -> list[Violation]:
    """Every violation there is; an empty list if all promises were kept."""
    checks: dict[Kind, Callable[[History], Iterable[str]]] = {
        "lost": lost,
        "contradictory": contradictory,
        "reordered": reordered,
        "unexplained": unexplained,
        "fell back": fell_back,
        "unsettled": unsettled,
    }
    return [Violation(kind, what) for kind, find in checks.items() for what in find(history)]


def lost(history: History) -> Iterator[str]:
    """Accepted revisions without an end, withdrawals without effect, verdicts that were answered and are not there."""
    on_wire = {(e.source, e.content_id, e.revision) for e in history.events(ContentSubmitted)}
    decided = {_at(d) for d in history.events(ContentDecided) if d.supersedes is None}
    latest: dict[Key, int] = defaultdict(int)
    for source, content_id, number in history.routed:
        latest[source, content_id] = max(latest[source, content_id], number)
    tasks = {task.revision: task for task in history.tasks}
    for revision in history.accepted:
        if revision not in on_wire:
            yield f"{revision} was accepted and is not on content.submitted"
        elif problem := _unfinished(revision, history, latest[revision[:2]], decided, tasks.get(revision)):
            yield f"{revision} {problem}"
    for key in history.withdrawn - history.withdrawals:
        yield f"the withdrawal of {key} has no effect"
    for token, outcome in history.answered.items():
        if history.judged.get(token) != outcome:
            yield f"verdict {outcome} under lease {token} was answered and is stored as {history.judged.get(token)}"


def _unfinished(
    revision: Revision, history: History, latest: int, decided: set[Revision], task: Task | None
) -> str | None:
    """Why this revision has no end, or None if it has one."""
    routed = history.routed.get(revision)
    if routed is None:
        return "was never routed"
    newer = latest > revision[2]
    if routed.route == "superseded":
        return None if newer else "counts as superseded, by nothing"
    if routed.route == "withdrawn":
        return None if revision[:2] in history.withdrawn else "counts as withdrawn, by nobody"
    if routed.route != "review" and revision not in decided:
        return "was decided automatically, and the decision is not on the wire"
    if routed.route != "review" and not routed.audited:
        return None
    if task is None:
        return "was to be reviewed, and there is no task"
    if task.state == "published" and revision not in decided:
        return "was reviewed, and the decision is not on the wire"
    if task.state not in FINAL:
        return f"still waits in state {task.state}"
    if task.state == "superseded" and not newer:
        return "was closed as superseded, by nothing"
    if task.state == "withdrawn" and revision[:2] not in history.withdrawn:
        return "was closed as withdrawn, by nobody"
    return None


def contradictory(history: History) -> Iterator[str]:
    """Repeats that differ, and two decisions or two requests where there may be one."""
    bodies: dict[str, set[str]] = defaultdict(set)
    for said in history.wire:
        bodies[said.id].add(f"{said.by} {said.event.key} {said.event.model_dump_json()}")
    for id_, different in bodies.items():
        if len(different) > 1:
            yield f"event {id_} came as {sorted(different)}"
    at: dict[tuple[Revision, int], set[str]] = defaultdict(set)
    firsts: dict[Revision, set[UUID]] = defaultdict(set)
    for d in history.events(ContentDecided):
        revision = _at(d)
        at[revision, d.sequence].add(d.model_dump_json())
        if d.supersedes is None:
            firsts[revision].add(d.decision_id)
        if d.decision_id != decision_id(*revision, d.sequence):
            yield f"decision {d.decision_id} of {revision}, sequence {d.sequence}, has an id that does not follow"
        logged = history.decision_log.get(d.decision_id, d.outcome)
        if logged != d.outcome:
            yield f"decision {d.decision_id} is {d.outcome} on the wire and {logged} in the log"
    for (revision, sequence), different in at.items():
        if len(different) > 1:
            yield f"{revision}, sequence {sequence}, was decided as {sorted(different)}"
    for revision, ids in firsts.items():
        if len(ids) > 1:
            yield f"{revision} has {len(ids)} first decisions: {sorted(map(str, ids))}"
    asked = Counter((asked.review_id, asked.priority) for asked in history.events(ReviewRequested))
    for (review, priority), times in asked.items():  # again with a higher priority is no contradiction
        if times > 1:
            yield f"review {review} was asked for {times} times with priority {priority}"


def reordered(history: History) -> Iterator[str]:
    """Events of a key that first came after a later one of the same service."""
    for service in (ROUTER, REVIEWER_API):
        reached: dict[str, float] = defaultdict(float)
        for decision in history.events(ContentDecided, service):
            if decision.sequence <= reached[decision.key]:
                yield f"{service} decided {decision.key} as {decision.sequence} after {reached[decision.key]:g}"
            reached[decision.key] = max(decision.sequence, reached[decision.key])
    reached = defaultdict(float)
    for event in history.events(Event):
        if isinstance(event, ReviewRequested | ReviewCancelled):
            # A cancellation covers what came before it.
            rank = event.revision if isinstance(event, ReviewRequested) else event.up_to_revision + 0.5
            if rank < reached[event.key]:
                yield f"{event.type} {rank:g} of {event.key} came after {reached[event.key]:g}"
            reached[event.key] = max(rank, reached[event.key])


def unexplained(history: History) -> Iterator[str]:
    """Where the wire and the tables say different things."""
    routed, tasks = history.routed.items(), history.tasks
    first = {at: decision_id(*at, first_sequence(at[2])) for at, _ in routed}
    asked = [(at, row) for at, row in routed if row.route == "review" or row.audited]
    pairs: dict[str, tuple[set[Any], set[Any]]] = {
        "automatic decisions": (
            {first[at] for at, row in routed if row.route in ("approve", "reject")},
            {d.decision_id for d in history.events(ContentDecided, ROUTER)},
        ),
        "review requests": (
            {review_id(*at, Why(row.why)) for at, row in asked},
            {asked.review_id for asked in history.events(ReviewRequested)},
        ),
        "tasks": (
            {review_id(*at, Why(row.why)) for at, row in asked},
            {task.review_id for task in tasks},
        ),
        "reviewers' decisions": (
            {task.decision_id for task in tasks if task.decides},
            {d.decision_id for d in history.events(ContentDecided, REVIEWER_API)},
        ),
        "labels": (
            {label_id(task.review_id, who) for task in tasks if task.state == "published" for who in task.reviewers},
            {label.label_id for label in history.events(ContentLabelled)},
        ),
        "the decision log": (
            {decision.decision_id for decision in history.events(ContentDecided)},
            set(history.decision_log),
        ),
        "dead letters": ({origin for origin, _, _ in history.set_aside}, history.set_aside_on_wire),
    }
    for name, (expected, found) in pairs.items():
        for missing in sorted(map(str, expected - found)):
            yield f"{name}: {missing} is missing"
        for extra in sorted(map(str, found - expected)):
            yield f"{name}: {extra} comes from nowhere"
    outcomes = {task.decision_id: task.verdict for task in tasks}
    for d in history.events(ContentDecided, REVIEWER_API):
        if outcomes.get(d.decision_id) != (d.outcome, frozenset(d.labels)):
            yield f"decision {d.decision_id} is not what the reviewers said: {outcomes.get(d.decision_id)}"
    for origin, at, reason in history.set_aside:
        if reason != "revision_reused" or at not in history.reused:
            yield f"{origin} was set aside as {reason}"
    for at in history.reused - {at for _, at, _ in history.set_aside if at is not None}:
        yield f"{at} came with other text and was not set aside"


def fell_back(history: History) -> Iterator[str]:
    """Positions or epochs that were lower later on."""
    reached: dict[tuple[str, str, int], tuple[int, int]] = {}
    for sample in history.samples:
        offset, epoch = reached.get(sample.slot, (0, 0))
        if sample.offset < offset or sample.epoch < epoch:
            yield f"{sample.slot} went from offset {offset}, epoch {epoch} to {sample.offset}, {sample.epoch}"
        reached[sample.slot] = (sample.offset, sample.epoch)


def unsettled(history: History) -> Iterator[str]:
    """What was still on its way at the end."""
    for schema, rows in history.outbox.items():
        if rows:
            yield f"{rows} rows are left in the outbox of {schema}"
    last = {sample.slot: sample.offset for sample in history.samples}
    for (group, topic, partition), offset in last.items():
        if offset != history.ends[topic, partition]:
            yield f"{group} is at {offset} of {topic}[{partition}], which ends at {history.ends[topic, partition]}"


def _at(event: ContentDecided) -> Revision:
    return event.source, event.content_id, event.revision
