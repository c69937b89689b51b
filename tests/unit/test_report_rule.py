"""How much users' reports weigh, and when they ask for a person."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.common.contract.reports import ReportsPolicy
from secondlook.router.reports.rule import UNPROVEN_MOST, Complaint, Opinion, ReporterRecord, opinion, reports_worth

START = datetime(2025, 1, 1, tzinfo=UTC)
RULE = ReportsPolicy(labels={"threat": 1, "hate": 2})
ORDER = [Opinion.NOTHING, Opinion.TRIAL, Opinion.PERSON]
NEW, GOOD, BAD = ReporterRecord(), ReporterRecord(4, 0), ReporterRecord(0, 9)

counts = st.integers(0, 6)
# A reporter has one record, so the record follows from the name.
complaints = st.lists(
    st.builds(
        lambda number, reason, hours: Complaint(
            f"u{number}", reason, START + timedelta(hours=hours), ReporterRecord(number % 4, number % 5)
        ),
        st.integers(0, 19), st.sampled_from(["spam", "threat", "hate", "other"]), st.integers(0, 96),
    ),
    max_size=12,
)  # fmt: skip


def of(*records: ReporterRecord, reason: str = "spam", hours: float = 1) -> list[Complaint]:
    return [
        Complaint(f"u{number}", reason, START + number * timedelta(hours=hours), record)
        for number, record in enumerate(records)
    ]


@given(complaints, complaints)
def test_more_reports_never_lower_anything(some: list[Complaint], more: list[Complaint]) -> None:
    assert ORDER.index(opinion(some, RULE)) <= ORDER.index(opinion(some + more, RULE))
    assert reports_worth(some) <= reports_worth(some + more)


@given(complaints, st.randoms())
def test_the_order_of_arrival_does_not_matter(some: list[Complaint], chance: random.Random) -> None:
    mixed = list(some)
    chance.shuffle(mixed)
    assert opinion(mixed, RULE) == opinion(some, RULE)
    assert reports_worth(mixed) == reports_worth(some)


@given(counts, counts)
def test_an_upheld_report_adds_weight_and_a_refused_one_takes_it(upheld: int, refused: int) -> None:
    weight = ReporterRecord(upheld, refused).weight
    assert (
        0 <= ReporterRecord(upheld, refused + 1).weight <= weight <= ReporterRecord(upheld + 1, refused).weight <= 2000
    )
    assert ReporterRecord().weight == 1000


@given(st.integers(1, 500))
def test_a_crowd_of_unknown_reporters_is_on_trial_however_large_it_is(size: int) -> None:
    crowd = of(*[NEW] * size, hours=0.01)
    assert opinion(crowd, RULE) == (Opinion.TRIAL if size >= 3 else Opinion.NOTHING)
    assert reports_worth(crowd) == min(size, UNPROVEN_MOST)


@pytest.mark.parametrize(
    ("records", "asked"),
    [
        ((NEW, NEW), Opinion.NOTHING),
        ((ReporterRecord(1, 0), NEW), Opinion.NOTHING),  # 1.78 and 1
        ((GOOD, NEW, NEW), Opinion.PERSON),  # one with a record speaks for those without
        ((GOOD, GOOD), Opinion.PERSON),
        ((BAD,) * 400, Opinion.NOTHING),
        ((BAD,) * 400 + (NEW,) * 2, Opinion.NOTHING),
        ((ReporterRecord(1, 3),) * 7, Opinion.TRIAL),  # mostly refused: no longer proven, and lighter
    ],
)
def test_records_decide_what_a_report_weighs(records: tuple[ReporterRecord, ...], asked: Opinion) -> None:
    assert opinion(of(*records, hours=0.01), RULE) == asked


def test_a_reporter_counts_once_however_often_they_report() -> None:
    often = [Complaint("u", "spam", START + timedelta(minutes=n), GOOD) for n in range(200)]
    assert opinion(often, RULE) == Opinion.NOTHING
    assert reports_worth(often) == 2


@pytest.mark.parametrize(("hours", "asked"), [(12, Opinion.PERSON), (12.1, Opinion.NOTHING)])
def test_reports_count_together_within_the_time_of_the_rule(hours: float, asked: Opinion) -> None:
    assert opinion(of(NEW, ReporterRecord(1, 0), NEW, hours=hours), RULE) == asked


@pytest.mark.parametrize(
    ("reason", "records", "asked"),
    [
        ("threat", (NEW,), Opinion.TRIAL),
        ("threat", (GOOD,), Opinion.PERSON),
        ("hate", (NEW, ReporterRecord(1, 0)), Opinion.PERSON),
        ("hate", (GOOD,), Opinion.PERSON),
        ("hate", (NEW,), Opinion.NOTHING),
        ("unheard-of", (GOOD,), Opinion.NOTHING),
    ],
)
def test_a_label_may_need_less(reason: str, records: tuple[ReporterRecord, ...], asked: Opinion) -> None:
    assert opinion(of(*records, reason=reason), RULE) == asked


def test_a_policy_without_the_section_keeps_its_meaning_and_bad_ones_are_refused() -> None:
    labels = {"spam": LabelPolicy(description="spam")}
    assert Policy(name="p", labels=labels).reports is None
    for wrong in (
        {"within": "0h"}, {"within": "24"}, {"within": "91d"}, {"reopen_after": 0.5}, {"keep": "1w"}, {"unproven": -1},
        {"labels": {"spam": 0}}, {"labels": {"unknown": 1}}, {"strange": 1}, {"reopen_after": float("nan")},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            Policy(name="p", labels=labels, reports=ReportsPolicy.model_validate(wrong))
