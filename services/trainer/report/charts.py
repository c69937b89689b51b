"""The charts of a report, drawn as SVG from plain data."""

import math
from collections.abc import Sequence

from secondlook.common.bundle.certificates import CertifiedThreshold
from secondlook.common.contract.quality import FrontierPoint
from secondlook.trainer.evidence.collaborative import Collaboration
from secondlook.trainer.report import words
from secondlook.trainer.report.content import LabelScores, ReliabilityBin, RiskCurve
from secondlook.trainer.report.markup import Html, tag
from secondlook.trainer.report.plot import HEIGHT, TOP, WIDTH, Plot, ticks

_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LINES = {"uncertainty": "line", "toxicity": "line second"}


def reliability(slot: str, label: str, bins: Sequence[ReliabilityBin]) -> Html:
    """Observed frequency over mean score, with 95 % intervals; on the diagonal a score means what it says."""
    told = "; ".join(f"score {b.score:.2f}, frequency {b.frequency:.2f} of {b.n}" for b in bins)
    plot = Plot(slot, f"Reliability of {label}", told)
    return plot.draw(
        plot.segment((0, 0), (1, 1), "guide"),
        plot.line([(b.score, b.frequency) for b in bins], "line faint"),
        *(plot.segment((b.score, b.lower), (b.score, b.upper), "whisker") for b in bins),
        *(plot.dot(b.score, b.frequency, "dot") for b in bins),
        x_label="score", y_label="share that is yes", x_ticks=_FIFTHS, y_ticks=_FIFTHS,
        x_text=lambda v: f"{v:.1f}", y_text=lambda v: f"{v:.1f}",
    )  # fmt: skip


def histogram(slot: str, label: str, scores: LabelScores) -> Html:
    """Counts of scores, yes upwards and no downwards, on a logarithmic scale."""
    highest = max(*scores.yes, *scores.no, 9)
    top = math.log10(1 + highest)
    told = (
        f"{words.number(sum(scores.yes))} items are yes, {words.number(sum(scores.yes[len(scores.yes) // 2 :]))} of "
        f"them score at least 0.5; {words.number(sum(scores.no))} are no, "
        f"{words.number(sum(scores.no[len(scores.no) // 2 :]))} of them score at least 0.5"
    )
    plot = Plot(slot, f"Scores of {label}", told, y_low=-top, y_high=top)
    bars = []
    for counts, sign, style in ((scores.yes, 1, "bar yes"), (scores.no, -1, "bar no")):
        for i, count in enumerate(counts):
            height = plot.y(0) - plot.y(math.log10(1 + count))
            left, right = plot.x(i / len(counts)) + 0.75, plot.x((i + 1) / len(counts)) - 0.75
            up = plot.y(0) - (height if sign > 0 else 0)
            bars.append(tag("rect", x=left, y=up, width=right - left, height=height, class_=style))
    powers = [10**i for i in range(1, 1 + int(math.log10(highest)))][:: 2 if highest >= 100_000 else 1]
    marks = [sign * math.log10(1 + power) for power in powers for sign in (1, -1)]
    return plot.draw(
        *bars,
        plot.segment((0, 0), (1, 0), "base"),
        tag("text", "yes", x=WIDTH - 14, y=TOP + 10, class_="mark end"),
        tag("text", "no", x=WIDTH - 14, y=HEIGHT - 46, class_="mark end"),
        x_label="score", y_label="items", x_ticks=_FIFTHS, y_ticks=[0.0, *marks],
        x_text=lambda v: f"{v:.1f}", y_text=lambda v: words.number(round(10 ** abs(v)) - 1),
    )  # fmt: skip


def risk(slot: str, curve: RiskCurve, target: float | None, on: CertifiedThreshold | None) -> Html:
    """Observed risk over coverage, the target as a line, and the certified point with its upper bound."""
    name = words.side_name(curve.side)
    bound = on.certificate.upper_bound if on is not None else 0.0
    high = min(1.0, max(2.5 * (target or 0.0), 1.4 * bound, 0.02))
    told = [f"{name}: the whole curve reaches a risk of {words.percent(curve.points[-1].risk)} at full coverage"]
    if target is not None:
        told.append(f"the target is {words.short_percent(target)}")
    at = words.coverage_at(curve, on.threshold) if on is not None else 0.0
    if on is not None:
        told.append(f"certified at {words.percent(at)} coverage, at most {words.percent_at_most(bound)} wrong")
    plot = Plot(slot, f"Risk and coverage: {name}", "; ".join(told), y_high=high)
    parts = []
    parts.append(plot.line([(p.coverage, p.risk) for p in curve.points], "line"))
    if target is not None:
        mark = f"target {words.short_percent(target)}"
        parts.append(plot.segment((0, target), (1, target), "target"))
        parts.append(tag("text", mark, x=plot.x(1), y=plot.y(target) - 5, class_="mark warn end"))
    if on is not None:
        observed = on.certificate.k / on.certificate.n if on.certificate.n else 0.0
        parts.append(plot.segment((at, observed), (at, bound), "whisker strong"))
        parts.append(plot.segment((at - 0.015, bound), (at + 0.015, bound), "whisker strong"))
        parts.append(plot.dot(at, observed, "dot", 4.5))
        side = "end" if at > 0.5 else ""
        where = plot.x(at) + (-9 if at > 0.5 else 9)
        parts.append(tag("text", "certified", x=where, y=plot.y(observed) - 6, class_=f"mark {side}".strip()))
    return plot.draw(
        *parts,
        x_label="share decided automatically", y_label="share of those that is wrong",
        x_ticks=_FIFTHS, y_ticks=ticks(0, high, 4), x_text=words.short_percent, y_text=words.short_percent,
    )  # fmt: skip


def frontier(slot: str, points: Sequence[FrontierPoint]) -> Html:
    """Share decided automatically over the risk, in times of the policy's."""
    told = "; ".join(f"{p.factor:g} times the risk: {words.percent(p.automated)}" for p in points)
    highest = max(p.factor for p in points)
    plot = Plot(slot, "What other risks would let be decided", told, x_high=highest)
    return plot.draw(
        plot.segment((1, 0), (1, 1), "target"),
        plot.line([(p.factor, p.automated) for p in points], "line"),
        *(plot.dot(p.factor, p.automated, "dot") for p in points),
        x_label="times the policy's risk", y_label="share decided automatically",
        x_ticks=ticks(0, highest, 5), y_ticks=_FIFTHS, x_text=lambda v: f"{v:g}", y_text=words.short_percent,
    )  # fmt: skip


def collaboration(slot: str, label: str, found: Sequence[Collaboration]) -> Html:
    """Accuracy over the share reviewed: a line a strategy and reviewer, the less accurate reviewers fainter."""
    best = max(c.reviewer_accuracy for c in found)
    lines = sorted({(c.strategy, c.reviewer_accuracy) for c in found}, key=lambda line: line[1])
    low = min(c.accuracy for c in found)
    low = max(0.0, low - max(0.1 * (1 - low), 0.005))
    widest = max(max(c.fraction for c in found), 0.05)
    told = "; ".join(
        f"{c.strategy}, reviewers right {words.percent(c.reviewer_accuracy)}, {words.percent(c.fraction)} reviewed: "
        f"{words.percent(c.accuracy, 2)}"
        for c in found
    )
    plot = Plot(slot, f"Collaborative accuracy of {label}", told, x_high=widest, y_low=low)
    parts = []
    for strategy, accuracy in lines:
        points = sorted(
            (c.fraction, c.accuracy) for c in found if (c.strategy, c.reviewer_accuracy) == (strategy, accuracy)
        )
        style = LINES[strategy] + ("" if accuracy == best else " faint")
        parts += [plot.line(points, style), *(plot.dot(*point, style.replace("line", "dot"), 3) for point in points)]
    return plot.draw(
        *parts,
        x_label="share reviewed", y_label="accuracy of all decisions", x_ticks=ticks(0, widest, 4),
        y_ticks=ticks(low, 1, 4), x_text=words.short_percent, y_text=words.short_percent,
    )  # fmt: skip
