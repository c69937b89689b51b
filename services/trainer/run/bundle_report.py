"""The report of a bundle from what its training run knows, stored beside it: `report.html` and `model-card.md`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import fsspec
import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.manifest import CARD, REPORT, Manifest
from secondlook.common.bundle.sides import APPROVE, reach, reject
from secondlook.common.bundle.store import Bundle
from secondlook.trainer.data.dataset import STARTER, Dataset
from secondlook.trainer.evidence.certify import SideOff
from secondlook.trainer.evidence.collaborative import collaborate, risk_coverage
from secondlook.trainer.evidence.sample import judge_approvals
from secondlook.trainer.gate.decide import GateDecision
from secondlook.trainer.model.evaluate import evaluate
from secondlook.trainer.report import BundleReport, to_html, to_markdown
from secondlook.trainer.report.content import GateVerdict, LabelCounts, PreviousBundle, RiskCurve, SliceMetrics
from secondlook.trainer.report.measure import label_scores
from secondlook.trainer.run.audits import AuditedText, audit_estimates
from secondlook.trainer.run.evidence import Found
from secondlook.trainer.run.job import Job

NOISY_REVIEWER = 0.9
MIN_SLICE = 20  # items of a slice that say anything


def store_report(uri: str, report: BundleReport) -> None:
    """Write the report of a bundle into its folder, as a page and as a model card."""
    files, path = fsspec.core.url_to_fs(uri)
    for name, content in ((REPORT, to_html(report)), (CARD, to_markdown(report))):
        files.pipe_file(f"{path.rstrip('/')}/{name}", content.encode())


def make_report(
    job: Job,
    data: Dataset,
    scores: Array,
    manifest: Manifest,
    found: Found,
    decision: GateDecision,
    active: Bundle | None,
    audited: Sequence[AuditedText],
) -> BundleReport:
    """The measurements: quality on gold, curves on the items drawn from all traffic, counts of everything.

    `scores` float64[n, labels] are those of the data's rows, `audited` are the audits of what the active bundle scored.
    """
    labels, gold = manifest.labels, data.part("gold")
    traffic = data.part("gold", "certify") & (data.strata == "uniform")
    previous = None
    if active is not None:
        old = active.manifest
        audits = audit_estimates(job.policy, active, audited)
        previous = PreviousBundle(old.bundle_version, old.metrics, old.thresholds, audits)
    columns = {label: (scores[gold, i], data.targets[gold, i]) for i, label in enumerate(labels)}
    return BundleReport(
        bundle_version=manifest.bundle_version,
        created_at=manifest.created_at,
        labels=labels,
        encoder=manifest.encoder,
        data_fingerprint=manifest.data_fingerprint,
        metrics=manifest.metrics,
        thresholds=manifest.thresholds,
        risk=job.policy.risk if job.policy.mode == "certified" else None,
        sides_off=_off(found) or _by_hand(job, labels),
        frontier=found.findings.frontier,
        risk_curves=tuple(_curves(labels, scores[traffic], data.targets[traffic])),
        scores={label: label_scores(*pair) for label, pair in columns.items()},
        collaboration={
            label: (*collaborate(*pair), *collaborate(*pair, reviewer_accuracy=NOISY_REVIEWER))
            for label, pair in columns.items()
        },
        slices=tuple(_slices(labels, data, scores, gold)),
        data=tuple(_counts(labels, data)),
        gate=GateVerdict(decision.promote, decision.reasons),
        previous=previous,
    )


def _off(found: Found) -> tuple[SideOff, ...]:
    """The sides that are off, each with what it still needs."""
    needs = {each.side: each.outlook for each in found.findings.sides}
    return tuple(replace(off, reason=f"{off.reason}; {needs[str(off.side)]}") for off in found.certification.off)


def _by_hand(job: Job, labels: Sequence[str]) -> tuple[SideOff, ...]:
    if job.policy.mode == "certified":
        return ()
    why = "the policy sets its thresholds by hand, so nothing is certified"
    return tuple(SideOff(side, why) for side in (APPROVE, *map(reject, labels)))


def _curves(labels: Sequence[str], scores: Array, targets: Array) -> Iterator[RiskCurve]:
    known, wrong = judge_approvals(targets)
    highest = reach(APPROVE, labels, scores)
    yield RiskCurve(APPROVE, risk_coverage(highest, np.where(known, wrong, np.nan), "approve"))
    for column, label in enumerate(labels):
        yield RiskCurve(reject(label), risk_coverage(scores[:, column], targets[:, column], "reject"))


def _slices(labels: Sequence[str], data: Dataset, scores: Array, gold: NDArray[np.bool_]) -> Iterator[SliceMetrics]:
    for name, members in data.slices.items():
        rows = members & gold
        found = evaluate(labels, scores[rows], data.targets[rows])
        for column, label in enumerate(labels):
            measured, known = found[label], rows & ~np.isnan(data.targets[:, column])
            if measured.n >= MIN_SLICE:
                error = float(np.mean((scores[known, column] >= 0.5) != (data.targets[known, column] == 1)))
                yield SliceMetrics(name, label, measured.n, measured.positives, measured.auprc, error)


def _counts(labels: Sequence[str], data: Dataset) -> Iterator[LabelCounts]:
    kinds = sorted(set(zip(data.splits.tolist(), data.strata.tolist(), strict=True)))
    for column, label in enumerate(labels):
        for split, stratum in kinds:
            targets = data.targets[(data.splits == split) & (data.strata == stratum), column]
            yield LabelCounts(
                label, split, stratum, "starter" if stratum == STARTER else "people",
                int(np.sum(targets == 1)), int(np.sum(targets == 0)), int(np.sum(np.isnan(targets))),
            )  # fmt: skip
