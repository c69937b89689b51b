"""The page: one HTML document that loads nothing and runs nothing."""

from secondlook.common.bundle.sides import APPROVE, by_side
from secondlook.trainer.report import sections, words
from secondlook.trainer.report.content import BundleReport
from secondlook.trainer.report.markup import Html, tag
from secondlook.trainer.report.style import CSS


def to_html(report: BundleReport) -> str:
    """The whole report as one HTML document. Every name from the report is escaped."""
    title = f"Bundle {report.bundle_version}"
    head = tag(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{title}: report"),
        tag("style", Html(CSS)),
    )
    body = tag("body", _header(report), tag("main", *sections.all_sections(report)), _footer())
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: BundleReport) -> Html:
    made = f"Made {report.created_at.day} {report.created_at:%B %Y, %H:%M %Z} for {', '.join(report.labels)}."
    return tag(
        "header",
        tag("p", "Bundle report", class_="kind"),
        tag("h1", report.bundle_version),
        tag("p", made, class_="lead"),
        tag("dl", *_tiles(report), class_="tiles"),
    )


def _tiles(report: BundleReport) -> list[Html]:
    on, off = by_side(report.thresholds), words.off(report)
    approve = next((curve for curve in report.risk_curves if curve.side == APPROVE and curve.points), None)
    threshold = on.get(APPROVE)
    share = words.coverage_at(approve, threshold.threshold) if approve and threshold else None
    now = words.mean_auprc(report.metrics)
    gate = "No reasons are stored." if report.gate is None else f"{len(report.gate.reasons)} reasons below"
    return [
        _tile("Gate", words.verdict(report), gate),
        _tile("Certified sides", f"{len(on)} of {len(on) + len(off)}", "the others send everything to review"),
        _tile(
            "Approved automatically",
            words.NONE if share is None else words.percent(share),
            "no certified threshold or no curve" if share is None else "of the items measured below",
        ),
        _tile("Mean AUPRC", words.figure(now), words.mean_auprc_before(report)),
    ]


def _tile(name: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", note)))


def _footer() -> Html:
    text = "Second Look. Certified figures are promises at the stated confidence; all others are observations."
    return tag("footer", text)
