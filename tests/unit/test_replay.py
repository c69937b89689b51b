"""Replaying: which items, where they would go, and what is counted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.cli.replays import describe, pick
from secondlook.common.bus import Record
from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Thresholds
from secondlook.common.errors import NotFound
from secondlook.common.text.scope import Scope
from secondlook.router.classify import Classified
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.replay.count import ROUTES, Fate, ReplayedItem, tally
from secondlook.router.replay.excerpt import Excerpt, newest, sift
from secondlook.router.replay.score import route_all
from secondlook.router.replay.simulate import PastDecision, reroute
from secondlook.router.state import InForce
from tests.certificates import certified

SECRET = CoinSecret(bytes(32))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def content(number: int, revision: int = 1, text: str = "") -> ContentSubmitted:
    return ContentSubmitted(
        source="forum", content_id=str(number), revision=revision, text=text or f"text {number}", created_at=NOON
    )


def record(event: Any, offset: int) -> Record:
    message = encode(event, "test", SystemClock())
    at = NOON + timedelta(seconds=offset)
    return Record(message.topic, 0, offset, message.key, message.value, message.headers, at)


def log_of(*events: Any) -> list[Record]:
    return [record(event, offset) for offset, event in enumerate(events)]


def policy(approve: float | None = 0.2, reject: float = 0.8, **more: Any) -> Policy:
    return Policy(
        name="test", mode="fixed", labels={"spam": LabelPolicy(description="advertising")},
        thresholds=Thresholds(approve=approve, reject={"spam": reject}), audit=Audit(certify=0), **more,
    )  # fmt: skip


class Model:
    """Gives every text of a table its score and its scope."""

    version, labels, certified = "b2", ("spam",), certified(Thresholds(approve=0.3, reject={"spam": 0.7}))

    def __init__(self, **rows: tuple[float, Scope]) -> None:
        self.rows, self.asked = rows, list[str]()

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Any:
        raise AssertionError("replays read through `read`")

    def read(self, contents: Sequence[ContentSubmitted]) -> list[Classified | None]:
        texts = [content.text for content in contents]
        self.asked += texts
        return [
            Classified([self.rows[text][0]], np.ones(2, np.float32), self.rows[text][1], "")
            if text in self.rows
            else None
            for text in texts
        ]


def decided(text: str, route: str, score: float | None, bundle: str | None = "b2", number: int = 0) -> PastDecision:
    scores = None if score is None else {"spam": score}
    return PastDecision(content(number, text=text), Fate(route, route == "review", (), scores, ""), 1, bundle)


def test_the_last_revisions_count_once_each_and_withdrawals_and_rubbish_do_not() -> None:
    rubbish = Record("content.submitted", 0, 9, "", b"{", {}, NOON)
    gone = ContentWithdrawn(source="forum", content_id="1", withdrawn_at=NOON)
    records = [*log_of(content(1), content(2), content(1), gone, content(2, 2)), rubbish]
    excerpt = sift(records, 10, complete=True)
    assert [(c.content_id, c.revision) for c in excerpt.contents] == [("1", 1), ("2", 1), ("2", 2)]
    assert (excerpt.first, excerpt.last) == (NOON, NOON + timedelta(seconds=4))
    assert excerpt.complete
    some = sift(records, 2, complete=True)
    assert [(c.content_id, c.revision) for c in some.contents] == [("2", 1), ("2", 2)]
    assert not some.complete, "there is another one on the log"
    assert sift([], 5, complete=True) == Excerpt([], None, None, True)


class Tail:
    """A bus that only has a tail."""

    def __init__(self, records: list[Record]) -> None:
        self.records, self.asked = records, list[int]()

    async def tail(self, topic: str, records: int) -> list[Record]:
        assert topic == "content.submitted"
        self.asked.append(records)
        return self.records[-records:]


async def test_it_looks_further_back_for_as_many_items_as_asked_for_but_not_without_end() -> None:
    gone = ContentWithdrawn(source="forum", content_id="1", withdrawn_at=NOON)
    half: Any = Tail(log_of(*(event for number in range(100) for event in (content(number), gone))))
    excerpt = await newest(half, 10)
    assert [c.content_id for c in excerpt.contents] == [str(number) for number in range(90, 100)]
    assert half.asked == [10, 20]
    rare: Any = Tail(log_of(*(event for number in range(10) for event in (content(number), *[gone] * 9))))
    excerpt = await newest(rare, 10)
    assert len(excerpt.contents) == 4
    assert not excerpt.complete
    none: Any = Tail(log_of(*[gone] * 500))
    with pytest.raises(NotFound, match="no content"):
        await newest(none, 10)
    assert none.asked == [10, 20, 40]


def test_what_is_said_of_the_replayed_items() -> None:
    some = Excerpt([content(n) for n in range(5)], NOON, NOON + timedelta(days=1), False)
    said = describe(some, 4, 52_310)
    assert said == (
        "4 of the last 5 on the log, written from 2026-01-01 12:00:00Z to 2026-01-02 12:00:00Z; "
        "the router has accepted 52,310 so far"
    )
    assert "all 5 items that the log still holds" in describe(Excerpt(some.contents, NOON, NOON, True), 5, 5)


def test_scores_of_then_are_kept_and_only_doubtful_decisions_are_read() -> None:
    force = InForce(
        policy(approve=0.4),
        None,
        Model(whole=(0.99, Scope.FITS), long=(0.99, Scope.LONG), rude=(0.99, Scope.MIXED_SCRIPTS)),
    )
    then = [
        decided("sure", "approve", 0.1),
        decided("whole", "review", 0.3),
        decided("long", "review", 0.3),
        decided("high", "review", 0.5),
        decided("bad", "reject", 0.9),
        decided("rude", "review", 0.9),
    ]
    model: Any = force.model
    items = reroute(then, force, {"b2"}, model.read, SECRET)
    assert [item.after.route for item in items] == ["approve", "approve", "review", "review", "reject", "review"]
    assert [item.after.scores for item in items] == [one.fate.scores for one in then]
    assert model.asked == ["whole", "long", "rude"]
    assert [item.flips for item in items] == [False, True, False, False, False, False]
    assert items[2].after.reason == "longer than the model reads"
    assert items[5].after.reason == "letters of several scripts in one word"


def test_an_approval_by_another_bundle_does_not_say_that_this_one_reads_to_the_end() -> None:
    model = Model(long=(0.1, Scope.LONG))
    items = reroute([decided("long", "approve", 0.1, "b1")], InForce(policy(), None, model), {"b2"}, model.read, SECRET)
    assert items[0].after.route == "review"


def test_items_without_scores_for_the_policy_are_classified_and_what_fails_goes_to_review() -> None:
    model = Model(good=(0.1, Scope.FITS), bad=(0.9, Scope.FITS))
    then = [decided("good", "review", None, None), decided("bad", "review", None, None), decided("x", "review", None)]
    items = reroute(then, InForce(policy(), None, model), {"b2"}, model.read, SECRET)
    assert [item.after.route for item in items] == ["approve", "reject", "review"]
    assert items[1].after.labels == ("spam",)
    assert items[2].after.scores is None
    assert model.asked == ["good", "bad", "x"]


@pytest.mark.parametrize(("alike", "route", "asked"), [
    ({"b2"}, "review", ["text"]), ({"b1", "b2"}, "approve", []),
])  # fmt: skip
def test_certified_thresholds_take_scores_of_the_same_weights_only(
    alike: set[str], route: str, asked: list[str]
) -> None:
    model = Model(text=(0.5, Scope.FITS))
    certified = Policy(name="test", labels=policy().labels, audit=Audit(certify=0))
    then = [decided("text", "approve", 0.1, "b1")]
    assert reroute(then, InForce(certified, None, model), alike, model.read, SECRET)[0].after.route == route
    assert model.asked == asked
    fixed = reroute(then, InForce(policy(), None, Model(text=(0.5, Scope.FITS))), alike, model.read, SECRET)
    assert fixed[0].after.scores == {"spam": 0.1}, "thresholds set by hand hold for any scores"


def test_without_a_usable_bundle_everything_goes_to_review() -> None:
    then = [decided("a", "approve", 0.1), decided("b", "reject", 0.9)]
    items = reroute(then, InForce(policy(), None, None), set(), lambda texts: [], SECRET)
    assert [(item.after.route, item.after.asked, item.after.scores) for item in items] == [("review", True, None)] * 2


def test_with_a_bundle_that_cannot_be_opened_the_scores_of_then_have_to_do() -> None:
    then = [decided("a", "review", 0.1), decided("b", "reject", 0.9), decided("c", "review", None)]
    items = reroute(then, InForce(policy(), None, None), {"b2"}, lambda texts: [], SECRET)
    assert [item.after.route for item in items] == ["approve", "reject", "review"]


def test_all_items_are_routed_by_what_a_bundle_says() -> None:
    contents = [content(n, text=text) for n, text in enumerate(["low", "high", "long", "fails"])]
    model = Model(low=(0.1, Scope.FITS), high=(0.9, Scope.FITS), long=(0.1, Scope.LONG))
    fates = route_all(contents, InForce(policy(), 1, model), model.read, SECRET)
    assert [fate.route for fate in fates] == ["approve", "reject", "review", "review"]
    blind = route_all(contents, InForce(policy(), 1, None), lambda texts: [None] * len(texts), SECRET)
    assert {fate.route for fate in blind} == {"review"}
    assert route_all([], InForce(policy(), 1, model), model.read, SECRET) == []


fates = st.builds(
    Fate, st.sampled_from(ROUTES), st.booleans(), st.sampled_from([(), ("hate",), ("hate", "spam")]),
    st.none() | st.fixed_dictionaries({"hate": st.floats(0, 1), "spam": st.floats(0, 1)}), st.just("because"),
)  # fmt: skip
items_of = st.lists(st.builds(ReplayedItem, st.just(content(1)), fates, fates), max_size=30)


@given(items_of)
def test_the_counts_add_up(items: list[ReplayedItem]) -> None:
    found = tally(items)
    cells = {(b, a): found.routes[b][a] for b in ROUTES for a in ROUTES}
    assert sum(cells.values()) == found.items == len(items)
    assert found.flips.items == sum(count for (b, a), count in cells.items() if b != a)
    for when in ("before", "after"):
        assert found.review[when].items == sum(getattr(item, when).asked for item in items)
        assert found.automatic[when].items == sum(getattr(item, when).route != "review" for item in items)
        labelled = {label for item in items for label in getattr(item, when).labels}
        assert {label for label, n in found.labels.items() if n[f"rejected_{when}"]} == labelled
    assert all(n["flips"] <= found.flips.items for n in found.labels.values())
    if items:
        assert found.flips.share == found.flips.items / len(items)


def scored(before: dict[str, float] | None, after: dict[str, float] | None) -> ReplayedItem:
    return ReplayedItem(
        content(1), Fate("review", True, (), before, "then"), Fate("review", True, (), after, "now")
    )  # fmt: skip


def test_scores_are_compared_by_label_where_both_sides_have_them() -> None:
    items = [scored({"spam": 0.5}, {"spam": 0.5 + n / 200}) for n in range(100)]
    found = tally([*items, scored(None, {"spam": 1.0}), scored({"hate": 0.1}, {"spam": 0.2})]).scores
    assert set(found) == {"spam"}
    change = found["spam"]
    assert change.n == 100
    figures = (change.before, change.after, change.mean, change.p95, change.largest)
    assert figures == pytest.approx((0.5, 0.7475, 0.2475, 0.47, 0.495))


def test_nothing_has_no_share() -> None:
    found = tally([])
    assert (found.flips.items, found.flips.share, str(found.flips)) == (0, None, "0")
    assert found.labels == {}


def test_a_flip_belongs_to_the_labels_of_the_rejection_or_to_the_highest_score() -> None:
    low, high = {"hate": 0.1, "spam": 0.15}, {"hate": 0.9, "spam": 0.95}
    review, approve = Fate("review", True, (), low, ""), Fate("approve", False, (), low, "")
    reject = Fate("reject", False, ("hate",), high, "")
    flips = {
        label: counts["flips"]
        for label, counts in tally(
            [
                ReplayedItem(content(1), review, approve),
                ReplayedItem(content(2), review, reject),
                ReplayedItem(content(3), review, review),
            ]
        ).labels.items()
    }
    assert flips == {"spam": 1, "hate": 1}


def test_the_newest_flips_are_shown_without_their_texts() -> None:
    review, approve = Fate("review", True, (), None, ""), Fate("approve", False, (), {"spam": 0.1}, "low")
    items = [ReplayedItem(content(n, text="private"), review, approve if n % 2 else review) for n in range(10)]
    assert [shown["key"] for shown in pick(items, 3, texts=False)] == ["forum/9", "forum/7", "forum/5"]
    assert "private" not in str(pick(items, 10, texts=False))
    assert pick(items, 1, texts=True)[0]["text"] == "private"
    assert pick(items, 0, texts=True) == []
