"""Audits of the active bundle's decisions so far, for the report of the bundle that may follow it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from secondlook.common.bundle.sides import APPROVE, Side, decisions, in_force, reject
from secondlook.common.bundle.store import Bundle
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Queryable
from secondlook.common.text.scope import Scope
from secondlook.trainer.data.audited import AUDITED
from secondlook.trainer.evidence.estimates import Estimate, audit_errors
from secondlook.trainer.report.content import AuditEstimate, Interval

SETTLED = f"SELECT text, scores, labels, signals FROM ({AUDITED}) AS settled WHERE labels <> '{{}}'"  # noqa: S608


@dataclass(frozen=True, slots=True)
class AuditedText:
    """A text that the coin drew: the scores of the weights, people's answers, its scope, and its signals."""

    text: str
    scores: dict[str, float]
    labels: dict[str, bool]
    scope: Scope = Scope.FITS
    signals: Mapping[str, float] = field(default_factory=dict)


async def load_audited(connection: Queryable, weights: str, label_mark: int) -> list[AuditedText]:
    """The audits of what these weights scored, among the labels up to `label_mark`."""
    rows = await connection.fetch(SETTLED, weights, 0, label_mark)
    return [AuditedText(row["text"], row["scores"], row["labels"], signals=row["signals"] or {}) for row in rows]


def audit_estimates(policy: Policy, bundle: Bundle, audited: Sequence[AuditedText]) -> tuple[AuditEstimate, ...]:
    """The error of every side that is on, among the items here that the router would decide by that side."""
    labels = sorted(policy.labels)
    thresholds = in_force(policy, bundle.manifest.thresholds, bundle.manifest.labels)
    scores, targets = (
        np.array([[each.get(label, np.nan) for label in labels] for each in rows], np.float64).reshape(-1, len(labels))
        for rows in ([item.scores for item in audited], [item.labels for item in audited])
    )
    decided = decisions(labels, scores, thresholds, np.array([item.scope for item in audited], np.uint8))
    errors = audit_errors(labels, decided.approved, decided.rejected, targets, np.ones(len(audited), np.bool_))
    approve = [] if thresholds.approve is None else [_estimate(APPROVE, errors.approve)]
    rejections = [_estimate(reject(label), errors.reject[label]) for label in labels if label in thresholds.reject]
    return (*approve, *rejections)


def _estimate(side: Side, found: Estimate) -> AuditEstimate:
    return AuditEstimate(side, found.n, found.k or 0, Interval(found.value or 0.0, found.low, found.high))
