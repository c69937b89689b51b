"""Whatever the order in which things are said of a piece of content, and however batches cut it, it ends the same."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ContentWithdrawn,
    ReviewCancelled,
    ReviewRequested,
    first_sequence,
)
from secondlook.common.contract.reports import ReviewReported
from secondlook.router.answers import Routed
from tests.ordering import SCORES, SOURCE, Event, State, expected, placed, policy, scenario
from tests.unit.test_effects import Entry, Store, item

POLICY = policy()


def entry(event: Event) -> Entry:
    if not isinstance(event, ContentSubmitted):
        return item(event), event
    scores = {"spam": SCORES[event.text.split()[0]]}
    routing = placed(event, scores, POLICY)
    return Routed(item(event), event, routing, scores, None, POLICY, 1, "b1")


def ended(store: Store, content_id: str) -> State:
    """The state of a piece of content, its reviews as a reader of the events keeps them."""
    row = store.contents[SOURCE, content_id]
    requests: dict[UUID, ReviewRequested] = {}
    priorities: dict[UUID, int] = defaultdict(int)
    closed = 0
    outcome = None
    for event, _ in store.events:
        if event.key != f"{SOURCE}/{content_id}":
            continue
        if isinstance(event, ReviewRequested):
            requests.setdefault(event.review_id, event)
            priorities[event.review_id] = max(priorities[event.review_id], event.priority)
            closed = max(closed, event.revision - 1)
        elif isinstance(event, ReviewReported) and event.raised is not None:
            at, priority = event.raised.review_id, event.raised.priority
            assert at in requests, "a review is raised that nobody asked for"
            priorities[at] = max(priorities[at], priority)
        elif isinstance(event, ReviewCancelled):
            closed = max(closed, event.up_to_revision)
        elif isinstance(event, ContentDecided) and event.sequence == first_sequence(row.latest_revision):
            outcome = event.outcome
    reviews = tuple(sorted((r.revision, priorities[at]) for at, r in requests.items() if r.revision > closed))
    if row.withdrawn:
        return State(row.latest_revision, row.withdrawn_at, True, reviews)
    known = store.known[SOURCE, content_id, row.latest_revision]
    counts = (row.reports, row.reach)
    return State(
        row.latest_revision, row.withdrawn_at, False, reviews, row.created_at, counts, outcome, known.audited
    )  # fmt: skip


@settings(max_examples=5_000, deadline=None)
@given(st.binary(min_size=110, max_size=110))
def test_every_order_and_every_cut_ends_the_same(drawn: bytes) -> None:
    numbers = iter(drawn)

    def pick(below: int) -> int:
        return next(numbers) % below

    name, store = f"c{pick(40)}", Store(POLICY)
    events = scenario(name, pick)
    events.append(events[pick(len(events))])  # one is delivered twice
    batch: list[Entry] = []
    for event in events:
        batch.append(entry(event))
        if pick(2):
            store.settle(batch)
            batch = []
    store.settle(batch)
    assert ended(store, name) == expected(events, POLICY)
    assert {reason for _, reason in store.dead} <= {"withdrawn"}
    said = {event.revision for event, _ in store.events if isinstance(event, ContentDecided | ReviewRequested)}
    assert not said & overtaken(events)


def overtaken(events: Sequence[Event]) -> set[int]:
    """The revisions that a withdrawal or a higher revision overtook: nobody is asked about them, ever."""
    first = {e.revision: at for at, e in reversed(list(enumerate(events))) if isinstance(e, ContentSubmitted)}
    found = set()
    for revision, at in first.items():
        before, own = events[:at], events[at]
        assert isinstance(own, ContentSubmitted)
        withdrawn = [e.withdrawn_at for e in before if isinstance(e, ContentWithdrawn)]
        higher = [e.revision for e in before if isinstance(e, ContentSubmitted) and e.revision > revision]
        if higher or any(own.created_at <= moment for moment in withdrawn):
            found.add(revision)
    return found
