"""The tables of a report as rows of text, for the page and the card alike."""

from typing import Literal

from secondlook.common.bundle.sides import by_side
from secondlook.trainer.report.content import AuditEstimate, BundleReport, LabelCounts
from secondlook.trainer.report.words import (
    NONE,
    figure,
    interval,
    number,
    percent,
    short_percent,
    side_name,
    signed,
)

Grouping = Literal["split", "stratum", "origin"]
GROUPINGS: tuple[Grouping, ...] = ("split", "stratum", "origin")
METRICS_HEAD = ("Label", "Items", "Yes", "AUPRC", "AUROC", "Log loss", "Brier", "Calibration error")
AUDIT_HEAD = ("Side", "Audited", "Overturned", "Error, exact 95 % interval")
SLICE_HEAD = ("Slice", "Label", "Items", "Yes", "AUPRC", "Error at 0.5")
COLLABORATION_HEAD = ("Label", "Reviewed first", "Reviewers right", "Share reviewed", "Accuracy", "Review efficiency")
FRONTIER_HEAD = ("Risk: approve", "Reject", "Automatic now", "Reviews a day")
CHANGES_HEAD = ("What", "Previous", "This", "Difference")


def facts(report: BundleReport) -> list[tuple[str, str]]:
    """What the bundle is: a name and a value each."""
    return [
        ("Version", report.bundle_version),
        ("Created", report.created_at.isoformat(sep=" ", timespec="seconds")),
        ("Labels", ", ".join(report.labels)),
        ("Encoder", f"{report.encoder.name}, reads {number(report.encoder.max_tokens)} tokens"),
        ("Encoder sha256", report.encoder.sha256),
        ("Data fingerprint", report.data_fingerprint),
    ]


def metrics_rows(report: BundleReport) -> list[list[str]]:
    """A row a label, for `METRICS_HEAD`."""
    return [
        [label, number(m.n), number(m.positives), *map(figure, (m.auprc, m.auroc, m.log_loss, m.brier, m.ece))]
        for label, m in report.metrics.items()
    ]


def audit_rows(audits: tuple[AuditEstimate, ...]) -> list[list[str]]:
    """A row a side, for `AUDIT_HEAD`."""
    return [
        [
            side_name(audit.side),
            number(audit.n),
            number(audit.errors),
            interval(audit.estimate) if audit.n else NONE,
        ]
        for audit in audits
    ]


def frontier_rows(report: BundleReport) -> list[list[str]]:
    """A row a risk, for `FRONTIER_HEAD`."""
    return [
        [percent(p.approve, 2), percent(p.reject, 2), percent(p.automated), number(round(p.reviews_a_day))]
        for p in report.frontier
    ]


def slice_rows(report: BundleReport) -> list[list[str]]:
    """A row a slice and label, for `SLICE_HEAD`."""
    return [
        [
            s.name,
            s.label,
            number(s.n),
            number(s.positives),
            figure(s.auprc),
            NONE if s.error is None else percent(s.error),
        ]
        for s in report.slices
    ]


def collaboration_rows(report: BundleReport) -> list[list[str]]:
    """A row a label, strategy, reviewer and fraction, for `COLLABORATION_HEAD`."""
    first = {"uncertainty": "most uncertain", "toxicity": "highest score"}
    return [
        [
            label,
            first[c.strategy],
            short_percent(c.reviewer_accuracy),
            short_percent(c.fraction),
            percent(c.accuracy, 2),
            NONE if c.efficiency is None else percent(c.efficiency),
        ]
        for label, found in report.collaboration.items()
        for c in found
    ]


def counted(data: tuple[LabelCounts, ...], by: Grouping) -> tuple[list[str], list[list[str]]]:
    """Yes / no / unknown of every label by `split`, `stratum` or `origin`: the groups, and a row a label."""
    groups = list(dict.fromkeys(getattr(cell, by) for cell in data))
    rows = []
    for label in dict.fromkeys(cell.label for cell in data):
        row = [label]
        for group in groups:
            cells = [cell for cell in data if cell.label == label and getattr(cell, by) == group]
            sums = (sum(getattr(cell, part) for cell in cells) for part in ("positives", "negatives", "unknown"))
            row.append(" / ".join(map(number, sums)))
        rows.append(row)
    return groups, rows


def changes(report: BundleReport) -> list[list[str]]:
    """What differs from the previous bundle: labels, AUPRC and log loss a label, thresholds a side.

    Rows for `CHANGES_HEAD`; figures of other items are shown and not subtracted.
    """
    previous = report.previous
    if previous is None:
        return []
    found = []
    for label in dict.fromkeys((*previous.metrics, *report.metrics)):
        old, new = previous.metrics.get(label), report.metrics.get(label)
        if old is None or new is None:
            found.append([label, *(("absent", "new") if old is None else ("present", "gone")), NONE])
            continue
        same = (old.n, old.positives) == (new.n, new.positives)
        for name in ("auprc", "log_loss"):
            before, after = getattr(old, name), getattr(new, name)
            difference = NONE if before is None or after is None else signed(after - before)
            what = f"{label}: {'AUPRC' if name == 'auprc' else 'log loss'}"
            found.append([what, figure(before), figure(after), difference if same else "other items"])
    was, now = by_side(previous.thresholds), by_side(report.thresholds)
    for side in dict.fromkeys((*was, *now)):
        old_at, new_at = (on[side].threshold if side in on else None for on in (was, now))
        difference = NONE if old_at is None or new_at is None else signed(new_at - old_at)
        shown = ["off" if at is None else figure(at) for at in (old_at, new_at)]
        found.append([f"{side_name(side)}: threshold", *shown, difference])
    return found
