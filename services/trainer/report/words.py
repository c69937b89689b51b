"""How numbers, sides and certificates read, in the page and in the card alike."""

import math
from collections.abc import Mapping

from secondlook.common.bundle.certificates import Certificate
from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.sides import APPROVE, Side, by_side, reject
from secondlook.trainer.report.content import BundleReport, Interval, PreviousBundle, RiskCurve

NONE = "\N{EN DASH}"


def number(n: int) -> str:
    """With thousands set apart."""
    return f"{n:,}"


def figure(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for None."""
    return NONE if value is None else f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, with so many digits after the point."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def short_percent(share: float) -> str:
    """A share that a person chose, as a percentage without zeros at the end."""
    text = f"{100 * share:.2f}"
    return f"{text.rstrip('0').rstrip('.')}\N{NO-BREAK SPACE}%"


def signed(difference: float) -> str:
    """A difference with its sign."""
    return f"{difference:+.3f}".replace("-", "\N{MINUS SIGN}")


def percent_at_most(share: float) -> str:
    """An upper bound as a percentage with about two leading digits, rounded up: it never promises too much."""
    if share <= 0:
        return percent(0, 0)
    digits = min(4, max(0, 1 - math.floor(math.log10(100 * share))))
    scale: float = 10.0**digits
    return percent(min(1.0, math.ceil(100 * share * scale - 1e-9) / scale / 100), digits)


def interval(value: Interval) -> str:
    """A share and its bounds."""
    return f"{percent(value.value, 2)} ({percent(value.lower, 2)} to {percent(value.upper, 2)})"


def side_name(side: Side) -> str:
    """What the side does."""
    return "Approve" if side == APPROVE else f"Reject as {side.label}"


def certificate(side: Side, shown: Certificate, confidence: float | None) -> str:
    """A certificate as a sentence. `confidence` is the joint one of all sides; without it, that of this side alone."""
    would = "approved" if side == APPROVE else f"rejected as {side.label}"
    wrong = {0: "none was wrong", 1: "1 was wrong"}.get(shown.k, f"{number(shown.k)} were wrong")
    sure = (
        f"{short_percent(1 - shown.delta)} confidence"
        if confidence is None
        else f"{short_percent(confidence)} joint confidence"
    )
    declared = f" {number(shown.declared)} of them are of a file declared to be uniform." if shown.declared else ""
    return (
        f"Of {number(shown.n)} uniformly sampled items that would be {would}, {wrong}; "
        f"at {sure} at most {percent_at_most(shown.upper_bound)} are. "
        f"The target is {short_percent(shown.epsilon)}.{declared}"
    )


def off(report: BundleReport) -> dict[Side, str]:
    """Every side that is off, and why."""
    told = {each.side: each.reason for each in report.sides_off}
    silent = "no reason was recorded" if report.thresholds is not None else "nothing was certified for this bundle"
    on = by_side(report.thresholds)
    possible = (APPROVE, *map(reject, report.labels))
    return {side: told.get(side, silent).rstrip(".") for side in possible if side not in on}


def coverage_at(curve: RiskCurve, threshold: float) -> float:
    """The share of the curve's items that the side decides at a threshold."""
    inside = [
        point.coverage
        for point in curve.points
        if (point.threshold <= threshold if curve.side == APPROVE else point.threshold >= threshold)
    ]
    return max(inside, default=0.0)


def mean_auprc(metrics: Mapping[str, LabelMetrics]) -> float | None:
    """The mean over the labels that have one."""
    known = [label.auprc for label in metrics.values() if label.auprc is not None]
    return sum(known) / len(known) if known else None


def mean_auprc_before(report: BundleReport) -> str:
    """How the previous bundle compares in AUPRC, over the labels that both have."""
    before = report.previous.metrics if report.previous is not None else {}
    both = [label for label in report.metrics if label in before]
    new, old = (mean_auprc({label: metrics[label] for label in both}) for metrics in (report.metrics, before))
    if new is None or old is None:
        return "no earlier bundle to compare with"
    if set(report.metrics) == set(before):
        return f"the previous bundle had {figure(old)}"
    return f"{figure(new)} over the labels of both bundles, {figure(old)} before"


def audited(previous: PreviousBundle) -> str:
    """Whose decisions the audits are about."""
    return (
        "Not of this bundle, which had decided nothing when this was written, but of what bundle "
        f"{previous.bundle_version}, active then, decides at its thresholds."
    )


def verdict(report: BundleReport) -> str:
    """What the gate decided."""
    if report.gate is None:
        return "Not decided yet"
    return "Promoted" if report.gate.promote else "Not promoted"
