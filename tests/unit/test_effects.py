"""What a batch changes: one decision a revision, however submissions repeat, overtake each other or are cut up."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.bus import Record
from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ContentWithdrawn,
    Event,
    ReviewCancelled,
    ReviewRequested,
    decision_id,
)
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Thresholds
from secondlook.common.contract.reports import ContentReported
from secondlook.common.errors import RevisionReused
from secondlook.common.service.stream import Item
from secondlook.router.answers import Routed
from secondlook.router.effects import effects_of
from secondlook.router.identity.changes import Effects
from secondlook.router.identity.hashes import text_sha256
from secondlook.router.identity.standing import ContentRow, Key, KeyedRevision, KnownRevision
from secondlook.router.reports.book import ReportBook
from secondlook.router.routing import route

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
CREATED = datetime(2025, 1, 1, tzinfo=UTC)
LATER = NOW - timedelta(minutes=30)  # than withdrawals an hour ago
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
POLICIES = [
    Policy(name="p", labels={"spam": LabelPolicy(description="spam")}, audit=Audit(certify=share, most=share))
    for share in (0, 1)
]
SCORES = {"approve": 0.1, "reject": 0.9, "review": 0.5}
offsets = count()

Entry = Routed | tuple[Item, ContentWithdrawn | ContentReported]


def item(event: Event, trace: str | None = None) -> Item:
    headers = {"traceparent": trace} if trace else {}
    return Item(Record(event.topic, 0, next(offsets), event.key, b"{}", headers, NOW), event)


def submit(
    content_id: str,
    revision: int,
    verdict: str = "approve",
    *,
    text: str = "",
    audit: bool = False,
    trace: str = "",
    created: datetime = CREATED,
    **more: Any,
) -> Routed:
    """A routed submission; verdicts are `approve`, `reject` and `review`."""
    text = text or f"{content_id} {revision}"
    content = ContentSubmitted(
        source="forum", content_id=content_id, revision=revision, text=text, created_at=created, **more
    )
    scores, thresholds = {"spam": SCORES[verdict]}, Thresholds(approve=0.2, reject={"spam": 0.8})
    routing = route(content, scores, thresholds, POLICIES[audit], u=0.0)
    assert routing.route == verdict
    return Routed(item(content, trace or None), content, routing, scores, "AAA=", POLICIES[audit], 7, "b1")


def withdraw(content_id: str, trace: str = "", hours: int = 1) -> Entry:
    event = ContentWithdrawn(source="forum", content_id=content_id, withdrawn_at=NOW - timedelta(hours=hours))
    return item(event, trace or None), event


class Store:
    """The router's tables, in memory: what `effects_of` is fed with and what it says to write."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy, self.book = policy, ReportBook(trials=100_000)
        self.contents: dict[Key, ContentRow] = {}
        self.known: dict[KeyedRevision, KnownRevision] = {}
        self.routes: list[tuple[str, str, int, str, str, bool]] = []
        self.events: list[tuple[Event, str | None]] = []
        self.dead: list[tuple[int, str]] = []
        self.duplicates = self.withdrawals = self.remembered = self.raised = 0

    def settle(self, batch: Sequence[Entry]) -> Effects:
        effects = effects_of(batch, dict(self.contents), dict(self.known), NOW, self.book, self.policy)
        self.contents |= effects.contents
        for row in effects.revisions:
            assert (row.source, row.content_id, row.revision) not in self.known, "the primary key would refuse this"
            self.known[row.source, row.content_id, row.revision] = KnownRevision(*row[3:8])
            self.routes.append((row.source, row.content_id, row.revision, row.route, row.why, row.audited))
        self.events += effects.events
        self.dead += [(record.offset, problem.reason) for record, problem in effects.dead_letters]
        self.duplicates += effects.duplicates
        self.withdrawals += effects.withdrawals
        self.remembered += effects.remembered
        self.raised += effects.raised
        return effects


def only(effects: Effects) -> Event:
    ((event, _),) = effects.events
    return event


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_repeat_changes_nothing_within_a_batch_and_across(store: Store) -> None:
    effects = store.settle([submit("a", 1), submit("a", 1)])
    assert isinstance(only(effects), ContentDecided)
    assert (len(effects.revisions), effects.duplicates) == (1, 1)
    again = store.settle([submit("a", 1, "reject")])
    assert (again.events, again.revisions, again.contents, again.dead_letters) == ([], [], {}, [])


@pytest.mark.parametrize("together", [True, False])
def test_a_revision_with_other_text_is_set_aside_and_named(store: Store, together: bool) -> None:
    first, reused = submit("a", 3), submit("a", 3, text="changed")
    effects = store.settle([first, reused]) if together else [store.settle([first]), store.settle([reused])][1]
    ((record, problem),) = effects.dead_letters
    assert record is reused.item.record
    assert isinstance(problem, RevisionReused)
    assert problem.problems[0].field == "revision"
    assert "revision 3 of forum/a" in str(problem)
    assert store.known["forum", "a", 3].text_sha256 == text_sha256("a 3")
    assert len(store.events) == 1


def test_a_decision_carries_its_coordinates(store: Store) -> None:
    event = only(store.settle([submit("a", 2, "reject")]))
    assert isinstance(event, ContentDecided)
    assert event.sequence == 2048
    assert event.decision_id == decision_id("forum", "a", 2, 2048)
    assert (event.outcome, event.labels, event.action, event.supersedes) == ("reject", ("spam",), "remove", None)
    assert (event.decided_by, event.policy_version, event.bundle_version) == ("model", 7, "b1")
    higher = only(store.settle([submit("a", 3)]))
    assert isinstance(higher, ContentDecided)
    assert higher.sequence > event.sequence + 1000
    assert store.contents["forum", "a"] == ContentRow(3, 0, created_at=CREATED)


def test_an_audit_is_decided_and_asked_about_with_the_decision_as_prior(store: Store) -> None:
    (decided, _), (asked, _) = store.settle([submit("a", 1, "reject", audit=True)]).events
    assert isinstance(decided, ContentDecided)
    assert isinstance(asked, ReviewRequested)
    assert asked.prior is not None
    assert (asked.prior.decision_id, asked.prior.sequence) == (decided.decision_id, decided.sequence)
    assert (asked.prior.outcome, asked.prior.labels) == ("reject", ("spam",))
    assert (asked.why, asked.content.text, asked.embedding) == ("audit", "a 1", "AAA=")
    assert store.routes == [("forum", "a", 1, "reject", "audit", True)]
    assert store.contents["forum", "a"].reviewed_up_to == 1


def test_a_sure_higher_revision_cancels_the_open_review(store: Store) -> None:
    store.settle([submit("a", 1, "review")])
    (decided, _), (cancelled, _) = store.settle([submit("a", 4)]).events
    assert isinstance(decided, ContentDecided)
    assert isinstance(cancelled, ReviewCancelled)
    assert (cancelled.up_to_revision, cancelled.why) == (3, "superseded")
    assert [type(event) for event, _ in store.settle([submit("a", 5)]).events] == [ContentDecided]


def test_an_unsure_higher_revision_is_asked_about_instead(store: Store) -> None:
    store.settle([submit("a", 1, "review")])
    asked = only(store.settle([submit("a", 2, "review")]))
    assert isinstance(asked, ReviewRequested)
    assert (asked.revision, asked.prior) == (2, None)
    assert store.contents["forum", "a"] == ContentRow(2, 2, created_at=CREATED)


@pytest.mark.parametrize("verdict", ["approve", "reject", "review"])
def test_a_stale_lower_revision_is_kept_but_never_published(store: Store, verdict: str) -> None:
    store.settle([submit("a", 5, "review")])
    effects = store.settle([submit("a", 4, verdict, audit=True)])
    assert effects.events == []
    assert effects.contents == {}
    assert store.routes[-1] == ("forum", "a", 4, "superseded", "superseded", False)
    assert store.settle([submit("a", 4, verdict)]).duplicates == 1


def test_several_revisions_in_one_batch_are_walked_in_order(store: Store) -> None:
    batch = [submit("a", 2, "review"), submit("b", 1), submit("a", 1), submit("a", 3), withdraw("a")]
    effects = store.settle(batch)
    seen = [(event.key, type(event), getattr(event, "revision", None)) for event, _ in effects.events]
    assert seen == [
        ("forum/a", ReviewRequested, 2),
        ("forum/b", ContentDecided, 1),
        ("forum/a", ContentDecided, 3),
        ("forum/a", ReviewCancelled, None),
    ]
    assert [row[3] for row in store.routes] == ["review", "approve", "superseded", "approve"]


def test_a_withdrawal_closes_what_is_open_once(store: Store) -> None:
    store.settle([submit("a", 1, "review"), submit("a", 2, "review")])
    effects = store.settle([withdraw("a")])
    cancelled = only(effects)
    assert isinstance(cancelled, ReviewCancelled)
    assert (cancelled.up_to_revision, cancelled.why, effects.withdrawals) == (2, "withdrawn", 1)
    again = store.settle([withdraw("a")])
    assert (again.events, again.contents, again.withdrawals) == ([], {}, 0)
    assert store.contents["forum", "a"].withdrawn_at == NOW - timedelta(hours=1)


def test_a_withdrawal_of_decided_content_says_nothing(store: Store) -> None:
    store.settle([submit("a", 1)])
    assert store.settle([withdraw("a")]).events == []
    assert store.contents["forum", "a"].withdrawn_at is not None


def test_a_withdrawn_piece_comes_back_with_a_higher_revision_only(store: Store) -> None:
    store.settle([submit("a", 2, "review"), withdraw("a")])
    assert store.settle([submit("a", 2, "review"), submit("a", 1, "review")]).events == []
    assert store.contents["forum", "a"].withdrawn_at is not None
    asked = only(store.settle([submit("a", 3, "review", created=LATER)]))
    assert isinstance(asked, ReviewRequested)
    assert store.contents["forum", "a"] == ContentRow(3, 3, NOW - timedelta(hours=1), LATER)
    assert store.settle([withdraw("a"), withdraw("a", hours=2)]).events == [], "repeats of what came before revision 3"
    assert isinstance(only(store.settle([withdraw("a", hours=0)])), ReviewCancelled)


def test_every_event_carries_the_trace_of_the_record_that_caused_it(store: Store) -> None:
    other = TRACE.replace("b7ad", "c8be")
    effects = store.settle(
        [submit("a", 1, "reject", audit=True, trace=TRACE), submit("b", 1), withdraw("a", trace=other)]
    )
    assert [(event.key, trace) for event, trace in effects.events] == [
        ("forum/a", TRACE),
        ("forum/a", TRACE),
        ("forum/b", None),
        ("forum/a", other),
    ]


entries = st.one_of(
    st.builds(
        submit,
        st.sampled_from("ab"), st.integers(1, 4), st.sampled_from(sorted(SCORES)),
        text=st.sampled_from(["", "other"]), audit=st.booleans(),
    ),
    st.builds(withdraw, st.sampled_from("ab"), hours=st.integers(0, 2)),
)  # fmt: skip


@given(st.lists(entries, max_size=24), st.data())
def test_batch_boundaries_do_not_matter(batch: list[Entry], data: st.DataObject) -> None:
    whole, cut = Store(), Store()
    whole.settle(batch)
    ends = sorted(data.draw(st.lists(st.integers(0, len(batch)), max_size=8)))
    for start, end in zip([0, *ends], [*ends, len(batch)], strict=True):
        cut.settle(batch[start:end])
    assert vars(cut) == vars(whole)


@given(st.lists(entries, max_size=24))
def test_each_revision_is_published_once_and_sequences_only_grow(batch: list[Entry]) -> None:
    store = Store()
    for entry in [*batch, *batch]:  # everything is delivered twice
        store.settle([entry])
    decided = [event for event, _ in store.events if isinstance(event, ContentDecided)]
    asked = [event for event, _ in store.events if isinstance(event, ReviewRequested)]
    for published in (decided, asked):
        assert len({(e.key, e.revision) for e in published}) == len(published)
    for content_id in "ab":
        own = [event.sequence for event in decided if event.content_id == content_id]
        assert own == sorted(own)
    for source, content_id, revision, verdict, _, audited in store.routes:
        key = (f"{source}/{content_id}", revision)
        assert (key in {(e.key, e.revision) for e in decided}) is (verdict in ("approve", "reject"))
        assert (key in {(e.key, e.revision) for e in asked}) is (verdict == "review" or audited)


@given(st.lists(entries, max_size=24))
def test_reviews_that_are_open_downstream_are_the_latest_asked_for(batch: list[Entry]) -> None:
    """Replays the events as the review queue reads them: a request supersedes lower ones, a cancel closes up to it."""
    store = Store()
    store.settle(batch)
    open_reviews: dict[str, int] = {}
    for event, _ in store.events:
        if isinstance(event, ReviewRequested):
            open_reviews[event.content_id] = event.revision
        elif isinstance(event, ReviewCancelled) and open_reviews.get(event.content_id, 0) <= event.up_to_revision:
            open_reviews.pop(event.content_id, None)
    stored = {content_id: row.reviewed_up_to for (_, content_id), row in store.contents.items() if row.reviewed_up_to}
    assert open_reviews == stored
