"""What a report is made from: plain data. What may be missing and is reads "not measured yet"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.manifest import EncoderInfo, LabelMetrics
from secondlook.common.bundle.sides import Side
from secondlook.common.contract.policy import Risk
from secondlook.common.contract.quality import FrontierPoint
from secondlook.trainer.evidence.certify import SideOff
from secondlook.trainer.evidence.collaborative import Collaboration, RiskPoint


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many items of one label, split, stratum and origin say yes, say no, and are not judged for it."""

    label: str
    split: str
    stratum: str
    origin: Literal["people", "starter"]
    positives: int
    negatives: int
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Of `n` items with this mean score the `frequency` of yes, with its exact 95 % interval."""

    score: float
    frequency: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Scores of judged items: reliability bins, and counts of yes and no in equally wide bins from 0 to 1."""

    reliability: tuple[ReliabilityBin, ...] = ()
    yes: tuple[int, ...] = ()
    no: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """The observed risk-coverage curve of a side."""

    side: Side
    points: tuple[RiskPoint, ...]


@dataclass(frozen=True, slots=True)
class SliceMetrics:
    """Quality of one label on a named part of the items. `error` is the share on the wrong side of 0.5."""

    name: str
    label: str
    n: int
    positives: int
    auprc: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its bounds."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class AuditEstimate:
    """What blind audits say of a side's decisions: `errors` of `n` were overturned."""

    side: Side
    n: int
    errors: int
    estimate: Interval


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether the gate promoted the bundle, and its reasons in words."""

    promote: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreviousBundle:
    """The bundle to compare with; `metrics` on the same hold-out as those of the report.

    `audits` are about its decisions, at its `thresholds`: the bundle of the report has made none yet.
    """

    bundle_version: str
    metrics: Mapping[str, LabelMetrics]
    thresholds: CertifiedThresholds | None = None
    audits: tuple[AuditEstimate, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleReport:
    """Everything that the page and the card of one bundle say.

    `risk` is the policy's target. `scores` and `collaboration` are by label, `collaboration` with one or more
    reviewers' accuracies. A side that is neither certified nor in `sides_off` is off without a recorded reason.
    """

    bundle_version: str
    created_at: datetime
    labels: tuple[str, ...]
    encoder: EncoderInfo
    data_fingerprint: str
    metrics: Mapping[str, LabelMetrics] = field(default_factory=dict)
    thresholds: CertifiedThresholds | None = None
    risk: Risk | None = None
    sides_off: tuple[SideOff, ...] = ()
    risk_curves: tuple[RiskCurve, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    scores: Mapping[str, LabelScores] = field(default_factory=dict)
    collaboration: Mapping[str, tuple[Collaboration, ...]] = field(default_factory=dict)
    slices: tuple[SliceMetrics, ...] = ()
    data: tuple[LabelCounts, ...] = ()
    gate: GateVerdict | None = None
    previous: PreviousBundle | None = None
