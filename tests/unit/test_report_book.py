"""The reports of one piece of content in memory: which are kept, and that it does not depend on their order."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.common.contract.reports import ContentReported, ReportsPolicy
from secondlook.common.errors import ReportReused
from secondlook.router.reports import book as module
from secondlook.router.reports.book import Approved, ReportBook
from secondlook.router.reports.rule import ReporterRecord

NOW = datetime(2025, 6, 1, tzinfo=UTC)
KEY = ("forum", "a")
POLICY = Policy(name="p", labels={"spam": LabelPolicy(description="spam")}, reports=ReportsPolicy())


def report(number: int, **more: object) -> ContentReported:
    fields = {
        "source": "forum", "content_id": "a", "report_id": f"r{number}", "reporter": f"u{number % 40}",
        "reason": "spam", "reported_at": NOW + timedelta(minutes=number * 7 % 50), **more,
    }  # fmt: skip
    return ContentReported.model_validate(fields)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 12)


def filled(reports: list[ContentReported]) -> ReportBook:
    records = {("forum", f"u{n}"): ReporterRecord(n % 5, n % 3) for n in range(40)}
    book = ReportBook(records=records, trials=9)
    for each in reports:
        book.take(each, NOW)
    return book


def test_the_heaviest_are_kept_whatever_the_order() -> None:
    reports = [report(n) for n in range(60)]
    expected = filled(reports)
    assert len(expected.reports[KEY]) == 12
    for seed in range(50):
        mixed = [*reports, *reports[:20]]
        random.Random(seed).shuffle(mixed)
        found = filled(mixed)
        assert found.reports == expected.reports
        assert found.worth(KEY) == expected.worth(KEY)
        assert {at for at in found.changed if at[1] in found.reports[KEY]} == set(found.changed), "only what is kept"
    kept = {expected.records["forum", one.reporter].weight for one in expected.reports[KEY].values()}
    others = {
        expected.records["forum", one.reporter].weight for one in reports if one.report_id not in expected.reports[KEY]
    }
    assert min(kept) >= max(others)


def test_an_answer_that_was_computed_follows_what_comes_after_it() -> None:
    book = ReportBook(trials=1)
    book.approve(KEY, Approved(1, "{}", "u3"))
    for number in range(2):
        book.take(report(number), NOW)
        assert book.worth(KEY) == number + 1
        assert book.asks(KEY, POLICY) is None
    book.take(report(3), NOW)
    assert book.asks(KEY, POLICY) is None, "the author's own does not count"
    book.take(report(4), NOW)
    assert book.asks(KEY, POLICY) is not None
    assert book.trials == 0


def test_an_id_with_other_words_is_refused_and_an_earlier_time_joins() -> None:
    book = ReportBook()
    assert book.take(report(1), NOW)
    with pytest.raises(ReportReused, match="'r1' of forum"):
        book.take(report(1, reason="hate"), NOW)
    assert not book.take(report(1, reported_at=NOW - timedelta(days=1)), NOW)
    assert book.reports[KEY]["r1"].reported_at == NOW - timedelta(days=1)
