"""The sections of the page, in the order of the questions that its readers ask."""

from secondlook.common.bundle.sides import APPROVE, by_side
from secondlook.trainer.report import charts, rows, words
from secondlook.trainer.report.content import BundleReport, RiskCurve
from secondlook.trainer.report.markup import Html, bullets, join, not_measured, table, tag


def all_sections(report: BundleReport) -> list[Html]:
    """Every section; one without data says so in a line."""
    return [
        _section("Why it was promoted, or not", _gate(report)),
        _section("What it decides alone", _sides(report)),
        _section("Risk and coverage", _risk(report)),
        _section("What a promise costs", _frontier(report)),
        _section("What audits found", _audits(report)),
        _section("Quality", _quality(report)),
        _section("Calibration and scores", _scores(report)),
        _section("Working with reviewers", _collaboration(report)),
        _section("Slices", _slices(report)),
        _section("Data", _data(report)),
        _section("What changed", _changes(report)),
        _section("What this bundle is", _identity(report)),
    ]


def _section(title: str, content: Html) -> Html:
    return tag("section", tag("h2", title), content)


def _look(text: str) -> Html:
    return tag("p", text, class_="look")


def _gate(report: BundleReport) -> Html:
    if report.gate is None:
        return not_measured()
    return join([tag("p", tag("strong", words.verdict(report)), ". Every reason of the gate:"),
                 bullets(report.gate.reasons)])  # fmt: skip


def _sides(report: BundleReport) -> Html:
    confidence = report.risk.confidence if report.risk is not None else None
    items = [
        tag(
            "li",
            tag("strong", f"{words.side_name(side)}: on, threshold {words.figure(on.threshold)}"),
            words.certificate(side, on.certificate, confidence),
        )
        for side, on in by_side(report.thresholds).items()
    ]
    items += [
        tag("li", tag("strong", f"{words.side_name(side)}: off"), f"Goes to review: {reason}.", class_="off")
        for side, reason in words.off(report).items()
    ]
    look = (
        "Look for sides that are off: everything they could have decided goes to people. A policy that fixes its "
        "thresholds by hand uses those instead, and they are not certified."
    )
    return join([_look(look), tag("ul", *items, class_="sides")])


def _risk(report: BundleReport) -> Html:
    curves = [curve for curve in report.risk_curves if curve.points]
    if not curves:
        return not_measured()
    look = (
        "How wrong a side would be if it decided more and more items, the surest first. Look for a line that stays "
        "below the dashed target far to the right. The dot is what was observed at the certified threshold; the bar "
        "above it ends at the bound that is promised. Where the line meets the target is about as far as more audits "
        "could go."
    )
    figures = [_figure(words.side_name(c.side), _risk_chart(report, i, c)) for i, c in enumerate(curves)]
    return join([_look(look), tag("div", *figures, class_="charts")])


def _risk_chart(report: BundleReport, index: int, curve: RiskCurve) -> Html:
    on = by_side(report.thresholds).get(curve.side)
    target = on.certificate.epsilon if on is not None else None
    if target is None and report.risk is not None:
        target = report.risk.approve if curve.side == APPROVE else report.risk.reject
    return charts.risk(f"risk-{index}", curve, target, on)


def _frontier(report: BundleReport) -> Html:
    if not report.frontier:
        return not_measured()
    look = (
        "What could be certified now at other risks than the policy's, and what people would judge a day at the "
        "traffic of the last two weeks. Look for the point from which a larger risk buys little."
    )
    chart = charts.frontier("frontier", report.frontier)
    body = table("What a promise costs", rows.FRONTIER_HEAD, rows.frontier_rows(report))
    return join([_look(look), tag("div", _figure("Automatic now, by risk", chart), class_="charts"), body])


def _audits(report: BundleReport) -> Html:
    previous = report.previous
    if previous is None or not previous.audits:
        return not_measured()
    look = (
        f"{words.audited(previous)} Blind audits, drawn from all traffic. Look for an interval that reaches above the "
        "target."
    )
    shown = table("Error of automatic decisions", rows.AUDIT_HEAD, rows.audit_rows(previous.audits))
    return join([_look(look), shown])


def _quality(report: BundleReport) -> Html:
    if not report.metrics:
        return not_measured()
    look = (
        "On items that the model was not fitted on. AUPRC is the one to compare between bundles; a useless model "
        "reaches the share of yes. Calibration error is how far scores lie from what they claim, on average."
    )
    return join([_look(look), table("Metrics a label", rows.METRICS_HEAD, rows.metrics_rows(report))])


def _scores(report: BundleReport) -> Html:
    shown = {
        label: scores for label, scores in report.scores.items() if scores.reliability or any(scores.yes + scores.no)
    }
    if not shown:
        return not_measured()
    look = (
        "Left: points on the dotted diagonal mean that a score of 0.8 is right eight times in ten; bars are 95 % "
        "intervals, and one that misses the diagonal is a calibration fault. Right: how many judged items got which "
        "score, yes upwards and no downwards. Look for yes on the right and no on the left; heights are logarithmic, "
        "so a small bar on the wrong side is a handful of items."
    )
    parts = [_look(look)]
    for i, (label, scores) in enumerate(shown.items()):
        figures = []
        if scores.reliability:
            figures.append(_figure("Reliability", charts.reliability(f"reliability-{i}", label, scores.reliability)))
        if scores.yes and scores.no:
            figures.append(_figure("Scores", charts.histogram(f"scores-{i}", label, scores)))
        parts += [tag("h3", label), tag("div", *figures, class_="charts pair")]
    return join(parts)


def _collaboration(report: BundleReport) -> Html:
    shown = {label: found for label, found in report.collaboration.items() if found}
    if not shown:
        return not_measured()
    look = (
        "The accuracy of all decisions if people see a share of the items and the model decides the rest at 0.5. Look "
        "for a steep start: it means that the items it asks about are those it gets wrong. Review efficiency is the "
        "share of reviewed items that the model had wrong."
    )
    keys = [_key("", "most uncertain first"), _key("second", "highest score first")]
    right = sorted({c.reviewer_accuracy for found in shown.values() for c in found}, reverse=True)
    if len(right) > 1:
        paler = " or ".join(map(words.short_percent, right[1:]))
        keys.append(_key("faint", f"paler: reviewers right {paler} of the time, not {words.short_percent(right[0])}"))
    figures = [_figure(label, charts.collaboration(f"together-{i}", label, found)) for i, (label, found) in
               enumerate(shown.items())]  # fmt: skip
    numbers = table("Collaborative accuracy", rows.COLLABORATION_HEAD, rows.collaboration_rows(report), words=2)
    return join(
        [
            _look(look),
            tag("p", *keys, class_="look keys"),
            tag("div", *figures, class_="charts"),
            tag("details", tag("summary", "The numbers"), numbers),
        ]
    )


def _slices(report: BundleReport) -> Html:
    if not report.slices:
        return not_measured()
    look = "Named parts of the items. Look for one that is clearly worse than the whole, and for one too small to tell."
    return join([_look(look), table("Quality a slice", rows.SLICE_HEAD, rows.slice_rows(report), words=2)])


def _data(report: BundleReport) -> Html:
    if not report.data:
        return not_measured()
    look = (
        "Yes / no / not judged. Look for labels with few yes answers, and for labels that still rest on the starter "
        "examples. Certified thresholds rest on the uniform sample only."
    )
    parts = [_look(look)]
    for by in rows.GROUPINGS:
        groups, counts = rows.counted(report.data, by)
        parts.append(table(f"By {by}", ["Label", *groups], counts))
    return join(parts)


def _changes(report: BundleReport) -> Html:
    if report.previous is None:
        return not_measured()
    look = f"Against bundle {report.previous.bundle_version}. Lower log loss is better, a higher AUPRC is better."
    return join([_look(look), table("Changes", rows.CHANGES_HEAD, rows.changes(report))])


def _identity(report: BundleReport) -> Html:
    facts = rows.facts(report)
    return tag("dl", *(tag(kind, text) for name, value in facts for kind, text in (("dt", name), ("dd", value))),
               class_="facts")  # fmt: skip


def _figure(caption: str, chart: Html) -> Html:
    return tag("figure", tag("figcaption", caption), chart)


def _key(style: str, text: str) -> Html:
    return tag("span", tag("span", class_=f"key {style}".strip()), text, class_="item")
