"""Whatever the order in which things are said of a piece of content, and however batches cut it, it ends the same."""

from collections import defaultdict
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ReviewCancelled,
    ReviewRequested,
    first_sequence,
)
from secondlook.router.answers import Routed
from secondlook.router.routing import route
from tests.ordering import SCORES, SOURCE, THRESHOLDS, Event, State, expected, policy, scenario
from tests.unit.test_effects import Entry, Store, item

POLICY = policy()


def entry(event: Event) -> Entry:
    if not isinstance(event, ContentSubmitted):
        return item(event), event
    scores = {"spam": SCORES[event.text.split()[0]]}
    routing = route(event, scores, THRESHOLDS, POLICY)
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
        elif isinstance(event, ReviewCancelled):
            closed = max(closed, event.up_to_revision)
        elif isinstance(event, ContentDecided) and event.sequence == first_sequence(row.latest_revision):
            outcome = event.outcome
    reviews = tuple((r.revision, priorities[at]) for at, r in requests.items() if r.revision > closed)
    if row.withdrawn:
        return State(row.latest_revision, row.withdrawn_at, True, reviews)
    known = store.known[SOURCE, content_id, row.latest_revision]
    counts = (row.reports, row.reach)
    return State(
        row.latest_revision, row.withdrawn_at, False, reviews, row.created_at, counts, outcome, known.audited
    )  # fmt: skip


@settings(max_examples=5_000, deadline=None)
@given(st.data())
def test_every_order_and_every_cut_ends_the_same(data: st.DataObject) -> None:
    def pick(below: int) -> int:
        return data.draw(st.integers(0, below - 1))

    events, store = scenario("a", pick), Store()
    batch: list[Entry] = []
    for event in [*events, events[pick(len(events))]]:  # one is delivered twice
        batch.append(entry(event))
        if pick(2):
            store.settle(batch)
            batch = []
    store.settle(batch)
    assert ended(store, "a") == expected(events, POLICY)
    assert {reason for _, reason in store.dead} <= {"withdrawn"}
