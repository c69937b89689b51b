import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.manifest import EncoderInfo, LabelMetrics
from secondlook.common.bundle.sides import APPROVE, reject, sides
from secondlook.common.contract.policy import Risk
from secondlook.common.contract.quality import FrontierPoint
from secondlook.trainer.evidence.certify import SideOff
from secondlook.trainer.evidence.collaborative import RiskPoint, collaborate, risk_coverage
from secondlook.trainer.report import BundleReport, to_html, to_markdown
from secondlook.trainer.report.content import (
    AuditEstimate,
    GateVerdict,
    Interval,
    LabelCounts,
    LabelScores,
    PreviousBundle,
    RiskCurve,
    SliceMetrics,
)
from secondlook.trainer.report.markup import NOT_MEASURED, Html, tag
from secondlook.trainer.report.measure import exact_interval, label_scores
from secondlook.trainer.report.rows import changes
from secondlook.trainer.report.words import certificate, coverage_at, off, percent_at_most

NAN = float("nan")
SHOWN = Certificate(n=1204, k=3, epsilon=0.01, delta=0.0125, upper_bound=0.00863)
THRESHOLDS = CertifiedThresholds(
    approve=CertifiedThreshold(threshold=0.25, certificate=SHOWN),
    reject={
        "spam": CertifiedThreshold(
            threshold=0.75, certificate=Certificate(n=400, k=4, epsilon=0.03, delta=0.0125, upper_bound=0.0271)
        )
    },
)
POINTS = tuple(
    FrontierPoint(factor=factor, approve=0.01 * factor, reject=0.03 * factor, automated=share, reviews_a_day=900.0)
    for factor, share in ((0.5, 0.0), (1.0, 0.41), (5.0, 0.83))
)
BARE = BundleReport(
    bundle_version="20260102-0304",
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    labels=("hate", "spam"),
    encoder=EncoderInfo(name="some/encoder", sha256="0" * 64),
    data_fingerprint="f" * 64,
)


def full(name: str = "hate") -> BundleReport:
    """A report with every part; `name` stands wherever a name can stand."""
    rng = np.random.default_rng(0)
    scores = rng.random(300)
    targets = (rng.random(300) < scores).astype(float)
    together = (*collaborate(scores, targets), *collaborate(scores, targets, reviewer_accuracy=0.9))
    return replace(
        BARE,
        bundle_version=f"1-{name}",
        labels=(name, "spam"),
        encoder=EncoderInfo(name=f"some/{name}", sha256="0" * 64),
        metrics={
            name: LabelMetrics(n=300, positives=140, auroc=0.8, auprc=0.71, log_loss=0.5, brier=0.2, ece=0.02),
            "spam": LabelMetrics(n=0, positives=0),
        },
        thresholds=THRESHOLDS,
        risk=Risk(),
        sides_off=(SideOff(reject(name), f"too few {name}."),),
        risk_curves=(
            RiskCurve(APPROVE, risk_coverage(scores, targets, "approve")),
            RiskCurve(reject(name), risk_coverage(scores, targets, "reject")),
            RiskCurve(reject("spam"), (RiskPoint(0.9, 1.0, 0.0, 1),)),
        ),
        frontier=POINTS,
        scores={name: label_scores(scores, targets), "spam": LabelScores()},
        collaboration={name: together, "spam": ()},
        slices=(SliceMetrics(f"language: {name}", name, 40, 3, 0.5, 0.1), SliceMetrics("small", "spam", 2, 0)),
        data=(
            LabelCounts(name, "train", "uniform", "people", 10, 20, 30),
            LabelCounts(name, "train", "uncertain", "people", 1, 2, 3),
            LabelCounts(name, "certify", f"of {name}", "starter", 1000, 2000, 0),
        ),
        gate=GateVerdict(False, (f"{name}: worse",)),
        previous=PreviousBundle(
            f"0-{name}",
            {"spam": LabelMetrics(n=4, positives=1, auprc=0.5)},
            audits=(
                AuditEstimate(APPROVE, 500, 2, exact_interval(2, 500)),
                AuditEstimate(reject(name), 0, 0, Interval(0, 0, 1)),
            ),
        ),
    )


HOSTILE = "<script>alert('1')</script>\"><img src=x onerror=y>|`*_\n# [a](b)&amp;"


class Outline(HTMLParser):
    """The elements of a document, and whether each is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def charts(page: str) -> Iterator[ElementTree.Element]:
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        yield ElementTree.fromstring(svg)  # noqa: S314 our own


@pytest.mark.parametrize("report", [BARE, full(), full(HOSTILE)], ids=["bare", "full", "hostile"])
def test_the_page_is_whole_and_needs_nothing_else(report: BundleReport) -> None:
    page = to_html(report)
    outline = Outline(page)
    assert outline.open == []
    assert {tag for tag, _ in outline.found} & {"script", "link", "img", "iframe", "object", "base"} == set()
    for _, attributes in outline.found:
        assert not {"src", "href", "style"} & set(attributes)
        assert not [key for key in attributes if key.startswith("on")]
    assert not re.search(r"@import|url\((?!#)", page)
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert to_html(report) == page


def test_what_is_missing_says_so_in_a_line() -> None:
    page, card = to_html(BARE), to_markdown(BARE)
    assert "<svg" not in page
    assert "<table" not in page
    assert page.count(NOT_MEASURED) == page.count("<section>") - 2  # sides and identity always have something to say
    assert card.count(NOT_MEASURED) == card.count("\n## ") - 1
    assert page.count("nothing was certified for this bundle") == 3
    assert NOT_MEASURED not in to_html(full())
    assert NOT_MEASURED not in to_markdown(full())


def test_empty_parts_are_missing_parts() -> None:
    empty = replace(
        BARE,
        risk_curves=(RiskCurve(APPROVE, ()),),
        scores={"hate": LabelScores()},
        collaboration={"hate": ()},
    )
    assert "<svg" not in to_html(empty)
    assert to_html(empty).count(NOT_MEASURED) == to_html(BARE).count(NOT_MEASURED)


def test_charts_can_be_read_without_seeing_them() -> None:
    found = list(charts(to_html(full())))
    assert len(found) == 7  # three sides, the frontier, reliability, scores, collaboration
    for svg in found:
        assert svg.get("role") == "img"
        title, description = svg.find("title"), svg.find("desc")
        assert title is not None
        assert description is not None
        assert (svg.get("aria-labelledby") or "").split() == [title.get("id"), description.get("id")]
        assert title.text
        assert description.text
        for element in svg.iter():
            for value in element.attrib.values():
                assert not re.search(r"nan|inf\b", value)


def test_tables_have_headings() -> None:
    outline = Outline(to_html(full()))
    assert sum(tag == "table" for tag, _ in outline.found) == sum(tag == "caption" for tag, _ in outline.found) > 4
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in outline.found if tag == "th")


def test_names_are_text_and_nothing_else() -> None:
    page = to_html(full(HOSTILE))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "&amp;amp;" in page


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    made = tag("p", '<"', Html("<b>"), class_='"><i>', data_x=None, width=2.0)
    assert made == '<p class="&quot;&gt;&lt;i&gt;" width="2">&lt;&quot;<b></p>'


def test_names_do_not_change_the_structure_of_the_card() -> None:
    def structure(card: str) -> list[tuple[str, int]]:
        return [(line[:2], len(re.findall(r"(?<!\\)\|", line))) for line in card.splitlines()]

    card = to_markdown(full(HOSTILE))
    assert structure(card) == structure(to_markdown(full()))
    assert not re.search(r"(?<!\\)[<>`\[]", card)


@pytest.mark.parametrize(("reason", "written"), [("- a", "\\- a"), ("1. a", "1\\. a"), ("a\n\n# b", "a \\# b")])
def test_a_reason_stays_one_line_of_a_list(reason: str, written: str) -> None:
    assert f"\n- {written}\n" in to_markdown(replace(BARE, gate=GateVerdict(True, (reason,))))


def test_a_certificate_in_words() -> None:
    assert certificate(APPROVE, SHOWN, 0.95).replace("\N{NO-BREAK SPACE}", " ") == (
        "Of 1,204 uniformly sampled items that would be approved, 3 were wrong; at 95 % joint confidence at most "
        "0.87 % are. The target is 1 %."
    )
    none = SHOWN.model_copy(update={"k": 0})
    alone = certificate(reject("spam"), none, None).replace("\N{NO-BREAK SPACE}", " ")
    assert "rejected as spam, none was wrong; at 98.75 % confidence" in alone
    for text in (to_html(full()), to_markdown(full())):
        assert "1,204 uniformly sampled items" in text
        assert "400 uniformly sampled items" in text


@given(st.floats(0, 1))
def test_a_bound_is_never_shown_lower_than_it_is(bound: float) -> None:
    shown = float(percent_at_most(bound).split("\N{NO-BREAK SPACE}")[0]) / 100
    assert shown >= bound - 1e-9
    assert shown <= min(1, bound * 1.1 + 1e-6)


def test_every_side_is_on_or_off_with_its_reason() -> None:
    report = full()
    assert sides(report.thresholds) == [APPROVE, reject("spam")]
    assert off(report) == {reject("hate"): "too few hate"}
    assert off(replace(report, sides_off=())) == {reject("hate"): "no reason was recorded"}
    assert "2 of 3" in to_html(report)


def test_coverage_at_a_threshold() -> None:
    points = (RiskPoint(0.1, 0.2, 0.0, 2), RiskPoint(0.4, 0.7, 0.1, 7), RiskPoint(0.9, 1.0, 0.3, 10))
    assert coverage_at(RiskCurve(APPROVE, points), 0.4) == 0.7
    assert coverage_at(RiskCurve(APPROVE, points), 0.05) == 0
    falling = (RiskPoint(0.9, 0.1, 0.0, 1), RiskPoint(0.5, 0.6, 0.2, 6))
    assert coverage_at(RiskCurve(reject("hate"), falling), 0.7) == 0.1


def test_changes_name_labels_that_came_and_went_and_other_items() -> None:
    metrics = LabelMetrics(n=100, positives=10, auprc=0.6, log_loss=0.3)
    now = {"kept": metrics, "moved": metrics, "new": metrics}
    was = {
        "kept": metrics.model_copy(update={"auprc": 0.5}),
        "moved": metrics.model_copy(update={"n": 99}),
        "old": metrics,
    }
    report = replace(BARE, metrics=now, thresholds=THRESHOLDS, previous=PreviousBundle("0", was))
    found = {what: rest for what, *rest in changes(report)}
    assert found["kept: AUPRC"] == ["0.500", "0.600", "+0.100"]
    assert found["moved: AUPRC"] == ["0.600", "0.600", "other items"]
    assert (found["old"][1], found["new"][0]) == ("gone", "absent")
    assert found["Approve: threshold"][:2] == ["off", "0.250"]
    assert "0.600 over the labels of both bundles, 0.550 before" in to_html(report)
    assert changes(BARE) == []


def test_counts_are_added_up_by_group() -> None:
    card = to_markdown(full())
    for row in ("11 / 22 / 33 | 1,000 / 2,000 / 0", "10 / 20 / 30 | 1 / 2 / 3 | 1,000 / 2,000 / 0"):
        assert f"| hate | {row} |" in card


def test_scores_are_counted_where_they_lie() -> None:
    found = label_scores(np.array([0.0, 0.04, 0.5, 1.0, 0.97, 0.3]), np.array([0, 0, 1, 1, 0, NAN]))
    assert (found.no[0], found.yes[10], found.yes[19], found.no[19]) == (2, 1, 1, 1)
    assert sum(found.yes) + sum(found.no) == 5
    assert [(b.n, b.frequency) for b in found.reliability] == [(2, 0), (1, 1), (2, 0.5)]
    assert label_scores(np.array([0.5]), np.array([NAN])) == LabelScores()


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 300), (3, 300), (300, 300)])
def test_an_exact_interval_holds_its_share(k: int, n: int) -> None:
    share = exact_interval(k, n)
    assert 0 <= share.lower <= share.value == k / n <= share.upper <= 1
    assert share.upper - share.lower > 0
    assert exact_interval(0, 300).upper == pytest.approx(1 - 0.025 ** (1 / 300))
