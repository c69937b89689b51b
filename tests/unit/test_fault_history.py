"""The history checker finds what is wrong with a history, and nothing in one where all is well."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from secondlook.common.contract.events import (
    Coin,
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
from secondlook.common.contract.fields import Outcome
from tests.faults.facts import REVIEWER_API, ROUTER, History, Position, Routed, Said, Task
from tests.faults.history import check

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = UUID(int=7)
LINE = ("router", "content.submitted", 0)
SPAM = ("reject", frozenset({"spam"}))


def at(content_id: str, revision: int = 1) -> tuple[str, str, int]:
    return "forum", content_id, revision


def submitted(content_id: str, revision: int = 1) -> ContentSubmitted:
    return ContentSubmitted(source="forum", content_id=content_id, revision=revision, text="a text", created_at=NOW)


def decided(content_id: str, revision: int, outcome: Outcome, more: int = 0) -> ContentDecided:
    """The revision's first decision, or the one `more` after it."""
    sequence = first_sequence(revision) + more
    return ContentDecided(
        source="forum", content_id=content_id, decision_id=decision_id(*at(content_id, revision), sequence),
        revision=revision, sequence=sequence, outcome=outcome, labels=("spam",) if outcome == "reject" else (),
        action="", decided_by="somebody", decided_at=NOW, confidence=None, policy_version=1, bundle_version="b1",
        reason="", supersedes=decision_id(*at(content_id, revision), sequence - 1) if more else None,
    )  # fmt: skip


def requested(content_id: str, why: Why = Why.UNCERTAIN) -> ReviewRequested:
    return ReviewRequested(
        source="forum", content_id=content_id, review_id=review_id(*at(content_id), why), revision=1,
        content=submitted(content_id), why=why, queue="default", priority=0,
        coin=Coin(u=0.5, inclusion_probability=1, stratum="uncertain"), scores=None, embedding=None, prior=None,
        policy_version=1, bundle_version="b1", requested_at=NOW,
    )  # fmt: skip


def cancelled(content_id: str) -> ReviewCancelled:
    return ReviewCancelled(
        source="forum", content_id=content_id, up_to_revision=1, why="superseded", cancelled_at=NOW
    )  # fmt: skip


def labelled(content_id: str, why: Why) -> ContentLabelled:
    return ContentLabelled(
        source="forum", content_id=content_id, label_id=label_id(review_id(*at(content_id), why), "rita"), revision=1,
        text="a text", labels={"spam": True}, reviewer="rita", labelled_at=NOW, decision_id=None, adjudicated=True,
        inclusion_probability=1, stratum="uncertain",
    )  # fmt: skip


def task(content_id: str, state: str, why: Why = Why.UNCERTAIN) -> Task:
    published = state == "published"
    sequence = first_sequence(1) + (why == Why.AUDIT)
    return Task(
        review_id(*at(content_id), why), at(content_id), decision_id(*at(content_id), sequence), state, why,
        ("approve", frozenset()) if why == Why.AUDIT else None, SPAM if published else None,
        ("rita",) if published else (),
    )  # fmt: skip


def said(by: str, event: Event) -> Said:
    return Said(str(uuid4()), by, event)


@pytest.fixture
def history() -> History:
    """Content that was decided by the model, by a person, by both, and content that needed no decision in the end."""
    wire = [
        *(said("upstream", submitted(name)) for name in ("model", "person", "both", "edited", "gone", "overtaken")),
        said("upstream", submitted("edited", 2)),
        said(ROUTER, decided("model", 1, "approve")),
        said(ROUTER, requested("person")),
        said(ROUTER, decided("both", 1, "approve")),
        said(ROUTER, requested("both", Why.AUDIT)),
        said(ROUTER, requested("edited")),
        said(ROUTER, cancelled("edited")),
        said(ROUTER, decided("edited", 2, "reject")),
        said(ROUTER, requested("gone")),
        said(REVIEWER_API, decided("person", 1, "reject")),
        said(REVIEWER_API, labelled("person", Why.UNCERTAIN)),
        said(REVIEWER_API, decided("both", 1, "reject", more=1)),
        said(REVIEWER_API, labelled("both", Why.AUDIT)),
    ]  # fmt: skip
    wire.append(wire[-2])  # sent again
    return History(
        accepted={
            at(event.content_id, event.revision): NOW for s in wire if isinstance(event := s.event, ContentSubmitted)
        },
        withdrawn={("forum", "gone"), ("forum", "overtaken")},
        reused={at("model")},
        answered={TOKEN: "reject"},
        wire=wire,
        ends={LINE[1:]: 6},
        routed={
            at("model"): Routed("approve", "sure", False, NOW),
            at("person"): Routed("review", "uncertain", False, NOW),
            at("both"): Routed("approve", "audit", True, NOW),
            at("edited"): Routed("review", "uncertain", False, NOW),
            at("edited", 2): Routed("reject", "sure", False, NOW),
            at("gone"): Routed("review", "uncertain", False, NOW),
            at("overtaken"): Routed("withdrawn", "withdrawn", False, NOW),
        },
        withdrawals={("forum", "gone"), ("forum", "overtaken")},
        tasks=[
            task("person", "published"),
            task("both", "published", Why.AUDIT),
            task("edited", "superseded"),
            task("gone", "withdrawn"),
        ],
        judged={TOKEN: "reject"},
        decision_log={s.event.decision_id: s.event.outcome for s in wire if isinstance(s.event, ContentDecided)},
        outbox={"router": 0},
        samples=[Position(LINE, 2, 1), Position(LINE, 2, 2), Position(LINE, 6, 2)],
        set_aside=[("kafka/content.submitted/0/5", at("model"), "revision_reused")],
        set_aside_on_wire={"kafka/content.submitted/0/5"},
    )  # fmt: skip


def test_a_history_in_which_all_is_well_passes(history: History) -> None:
    assert check(history) == []
    assert history.repeated == 1


def drop(history: History, what: Callable[[Any], bool]) -> None:
    history.wire = [s for s in history.wire if not what(s.event)]


def first(history: History, content_id: str) -> Said:
    return next(s for s in history.wire if isinstance(e := s.event, ContentDecided) and e.content_id == content_id)


def again(history: History, content_id: str, **changes: Any) -> None:
    """The decision on the wire once more, as an event of its own, with changes."""
    known = first(history, content_id)
    history.wire.append(said(known.by, known.event.model_copy(update=changes)))


def lose_a_record(history: History) -> None:
    drop(history, lambda event: event == submitted("model"))


def lose_a_routing(history: History) -> None:
    del history.routed[at("model")]


def lose_a_decision(history: History) -> None:
    drop(history, lambda event: isinstance(event, ContentDecided) and event.content_id == "model")


def lose_a_review(history: History) -> None:
    history.tasks = [t for t in history.tasks if t.revision != at("person")]


def leave_a_task_open(history: History) -> None:
    history.tasks[0] = replace(history.tasks[0], state="leased")


def supersede_by_nothing(history: History) -> None:
    history.routed[at("model")] = Routed("superseded", "superseded", False, NOW)


def close_without_reason(history: History) -> None:
    history.withdrawn.clear()


def withdraw_by_nobody(history: History) -> None:
    history.routed[at("model")] = Routed("withdrawn", "withdrawn", False, NOW)


def forget_a_withdrawal(history: History) -> None:
    history.withdrawals.clear()


def lose_a_verdict(history: History) -> None:
    history.judged.clear()


def decide_twice(history: History) -> None:
    again(history, "model", decided_at=datetime(2026, 1, 2, tzinfo=UTC))


def decide_otherwise(history: History) -> None:
    again(history, "model", outcome="reject", labels=("spam",))


def repeat_otherwise(history: History) -> None:
    known = first(history, "model")
    history.wire.append(replace(known, event=known.event.model_copy(update={"outcome": "reject"})))


def take_another_id(history: History) -> None:
    again(history, "model", decision_id=UUID(int=1))


def log_otherwise(history: History) -> None:
    history.decision_log[decision_id(*at("model"), first_sequence(1))] = "reject"


def ask_twice(history: History) -> None:
    history.wire.append(said(ROUTER, requested("gone")))


def swap_decisions(history: History) -> None:
    history.wire.append(said(ROUTER, decided("edited", 1, "approve")))


def cancel_before_asking(history: History) -> None:
    one, other = (
        n for n, s in enumerate(history.wire) if s.event.topic == "review.requested" and s.event.key == "forum/edited"
    )
    history.wire[one], history.wire[other] = history.wire[other], history.wire[one]


def say_what_no_table_knows(history: History) -> None:
    history.wire.append(said(ROUTER, decided("phantom", 1, "approve")))


def say_what_no_reviewer_said(history: History) -> None:
    history.tasks[0] = replace(history.tasks[0], verdict=("approve", frozenset()))


def lose_a_label(history: History) -> None:
    drop(history, lambda event: isinstance(event, ContentLabelled) and event.content_id == "person")


def miss_a_decision_in_the_log(history: History) -> None:
    history.decision_log.popitem()


def set_aside_something_good(history: History) -> None:
    history.set_aside.append(("kafka/content.submitted/0/5", at("person"), "failed"))


def take_a_reused_revision(history: History) -> None:
    history.set_aside.clear()


def lower_a_position(history: History) -> None:
    history.samples.insert(1, Position(LINE, 1, 1))


def lower_an_epoch(history: History) -> None:
    history.samples.insert(2, Position(LINE, 2, 1))


def leave_something_in_the_outbox(history: History) -> None:
    history.outbox["router"] = 1


def stop_before_the_end(history: History) -> None:
    history.ends[LINE[1:]] = 7


BREAKS = [
    ("lost", lose_a_record), ("lost", lose_a_routing), ("lost", lose_a_decision), ("lost", lose_a_review),
    ("lost", leave_a_task_open), ("lost", supersede_by_nothing), ("lost", close_without_reason),
    ("lost", forget_a_withdrawal), ("lost", withdraw_by_nobody), ("lost", lose_a_verdict),
    ("contradictory", decide_twice), ("contradictory", decide_otherwise), ("contradictory", repeat_otherwise),
    ("contradictory", take_another_id), ("contradictory", log_otherwise), ("contradictory", ask_twice),
    ("reordered", swap_decisions), ("reordered", cancel_before_asking),
    ("unexplained", say_what_no_table_knows), ("unexplained", say_what_no_reviewer_said),
    ("unexplained", lose_a_label), ("unexplained", miss_a_decision_in_the_log),
    ("unexplained", set_aside_something_good), ("unexplained", take_a_reused_revision),
    ("fell back", lower_a_position), ("fell back", lower_an_epoch),
    ("unsettled", leave_something_in_the_outbox), ("unsettled", stop_before_the_end),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "broken"), BREAKS, ids=[broken.__name__ for _, broken in BREAKS])
def test_what_is_wrong_is_found(history: History, kind: str, broken: Callable[[History], None]) -> None:
    broken(history)
    assert kind in {violation.kind for violation in check(history)}
