"""The model card: what the page says, without charts, in Markdown."""

import re
from collections.abc import Iterable, Sequence

from secondlook.common.bundle.sides import by_side
from secondlook.trainer.report import rows, words
from secondlook.trainer.report.content import BundleReport, LabelCounts
from secondlook.trainer.report.markup import NOT_MEASURED

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")
_LIST_SIGN = re.compile(r"^(\d*)([-+.)])")


def to_markdown(report: BundleReport) -> str:
    """The model card of a bundle. Every name from the report is escaped, line breaks become spaces."""
    confidence = report.risk.confidence if report.risk is not None else None
    on, off = by_side(report.thresholds), words.off(report)
    sides = [
        f"{words.side_name(side)}: on, threshold {words.figure(threshold.threshold)}. "
        f"{words.certificate(side, threshold.certificate, confidence)}"
        for side, threshold in on.items()
    ]
    sides += [f"{words.side_name(side)}: off, goes to review: {reason}." for side, reason in off.items()]
    data = [_counts(report.data, by) for by in rows.GROUPINGS if report.data]
    reasons = [] if report.gate is None else [f"{words.verdict(report)}.", *report.gate.reasons]
    parts = [
        f"# Bundle {_text(report.bundle_version)}",
        _list(f"{name}: {value}" for name, value in rows.facts(report)),
        *_part("What it decides alone", _list(sides)),
        *_part("Why it was promoted, or not", _list(reasons)),
        *_part("What a promise costs", _table(rows.FRONTIER_HEAD, rows.frontier_rows(report))),
        *_part("What audits found", _audits(report)),
        *_part("Quality", _table(rows.METRICS_HEAD, rows.metrics_rows(report))),
        *_part("Working with reviewers", _table(rows.COLLABORATION_HEAD, rows.collaboration_rows(report))),
        *_part("Slices", _table(rows.SLICE_HEAD, rows.slice_rows(report))),
        *_part("Data: yes / no / not judged", "\n\n".join(data)),
        *_part("What changed", _table(rows.CHANGES_HEAD, rows.changes(report))),
    ]
    return "\n\n".join(parts) + "\n"


def _part(title: str, content: str) -> tuple[str, str]:
    return f"## {title}", content or NOT_MEASURED


def _audits(report: BundleReport) -> str:
    if report.previous is None or not report.previous.audits:
        return ""
    table = _table(rows.AUDIT_HEAD, rows.audit_rows(report.previous.audits))
    return f"{_text(words.audited(report.previous))}\n\n{table}"


def _counts(data: tuple[LabelCounts, ...], by: rows.Grouping) -> str:
    groups, counts = rows.counted(data, by)
    return _table(["Label", *groups], counts)


def _list(lines: Iterable[str]) -> str:
    return "\n".join("- " + _LIST_SIGN.sub(r"\1\\\2", _text(line)) for line in lines)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    if not body:
        return ""
    lines = [[_text(cell) for cell in head], ["---"] * len(head), *([_text(cell) for cell in row] for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
