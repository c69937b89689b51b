"""The quality figures that the trainer measures, for people to read: counts and shares of items that people settled.

Nothing here tells one open review from another: an item first counts once it is settled, and no item is named. All
lists are bounded, so that the event stays small whatever the size of the system.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from secondlook.common.contract.event import Event
from secondlook.common.contract.fields import STRICT, Count, Label, Moment, Name, Outcome, Probability, Words

MAX_LABELS = 64
MAX_REVIEWERS = 200
MAX_REASONS = 1 + MAX_LABELS
MAX_POINTS = 16
MAX_BUNDLES, MAX_GATE_REASONS = 20, 5


class SideStanding(StrEnum):
    """Why a side decides automatically, or why it does not."""

    CERTIFIED = "certified"  # on: its threshold carries a certificate
    FIXED = "fixed"  # on: the policy sets the threshold by hand, and nothing is promised
    SWITCHED_OFF = "switched_off"  # off: audits found too many errors since it was certified
    UNCERTIFIED = "uncertified"  # off: no threshold could be certified yet, or the policy sets none


class MeasuredShare(BaseModel):
    """`value` is `k` of `n`, None where n is 0, with its exact 95 % interval (Clopper and Pearson)."""

    model_config = STRICT
    value: Probability | None
    n: Count
    k: Count
    low: Probability
    high: Probability


class MeasuredCertificate(BaseModel):
    """`k` of `n` uniformly sampled items were wrong; at confidence 1 - `delta` the risk is at most `bound`.

    `n` counts copies of a right item once, `judged` counts each; None from a trainer that did not say so.
    """

    model_config = STRICT
    n: Count
    k: Count
    epsilon: Probability
    delta: Probability
    bound: Probability
    judged: Count | None = None


class MeasuredEvidence(BaseModel):
    """What is known of a side up to a `threshold`: the one in force, or else the one nearest to being certified.

    `wrong` of `n` count, copies of a right item once; `judged` counts each. `waiting` items have no judgement yet, and
    count as wrong. `missing` were withdrawn or superseded before anybody judged them; `worst` is the share that is
    wrong if all of these were. `declared`: of the judged, how many come from a file that people declared to be a
    uniform sample. `bound` is the smallest risk that could be certified there now.
    """

    model_config = STRICT
    threshold: Probability
    wrong: Count
    n: Count
    judged: Count
    waiting: Count
    missing: Count
    declared: Count
    worst: Probability
    bound: Probability


class FrontierPoint(BaseModel):
    """What a promise costs: at `factor` times the risks of the policy, what could be certified now would decide a share
    `automated` of the content, and people would judge `reviews_a_day` at the traffic of the last weeks.
    """

    model_config = STRICT
    factor: Annotated[float, Field(gt=0)]
    approve: Probability
    reject: Probability
    automated: Probability
    reviews_a_day: Annotated[float, Field(ge=0)]


class MeasuredAudits(BaseModel):
    """Audits of what the active bundle's side decides: people found `errors` of `audits` wrong.

    With the policy's confidence the error rate is at least `lower`, whenever one looks. Where `lower` exceeds the risk
    that the policy allows, the trainer switches the side off.
    """

    model_config = STRICT
    audits: Count
    errors: Count
    lower: Probability


class MeasuredSide(BaseModel):
    """One automatic decision: to approve (`label` is None), or to reject as one label.

    `wrong`: of the side's decisions that the uniform sample audited, whichever bundle made them, how many were wrong.
    `audited`: the same for what the active bundle decides, which the guard watches.
    `needed`: of an uncertified side, about how many more judgements certify it if they turn out like those so far; None
    if more of them alone will not. `reason` says why a side is off, and `outlook` what it still needs, and about when.
    """

    model_config = STRICT
    outcome: Outcome
    label: Label | None
    standing: SideStanding
    wrong: MeasuredShare
    threshold: Probability | None = None
    certificate: MeasuredCertificate | None = None
    audited: MeasuredAudits | None = None
    needed: Count | None = None
    evidence: MeasuredEvidence | None = None
    reason: Words | None = None
    outlook: Words | None = None


class MeasuredLabel(BaseModel):
    """One label: how common it is in the uniform sample, how far reviewers agree on it, and how many answers look
    wrong to the model.

    Agreement is Krippendorff's alpha, 1 full and 0 as by chance, with a 95 % interval; None where `agreement_n` items
    say nothing.
    """

    model_config = STRICT
    label: Label
    prevalence: MeasuredShare
    agreement_n: Count
    agreement: Annotated[float, Field(ge=-1, le=1)] | None
    agreement_low: Annotated[float, Field(ge=-1, le=1)]
    agreement_high: Annotated[float, Field(ge=-1, le=1)]
    suspects: Count


class MeasuredRate(BaseModel):
    """A share as a model estimates it, with its 95 % interval, to four decimals."""

    model_config = STRICT
    value: Probability
    lower: Probability
    upper: Probability


class MeasuredReliability(BaseModel):
    """How reliable a reviewer probably is about a label (Dawid and Skene), from `n` answers that others gave too.

    Sensitivity: how often they find a label that applies. Specificity: how often they leave out one that does not.
    """

    model_config = STRICT
    label: Label
    n: Count
    sensitivity: MeasuredRate
    specificity: MeasuredRate


class MeasuredReviewer(BaseModel):
    """A reviewer, by pseudonym: `n` items judged, and the share of answers equal to the majority of the others.

    `labels` is empty for the less busy of many reviewers, so that the event stays small.
    """

    model_config = STRICT
    reviewer: Name
    n: Count
    agreement: Probability | None
    labels: Annotated[tuple[MeasuredReliability, ...], Field(max_length=MAX_LABELS)] = ()


class MeasuredSecondLooks(BaseModel):
    """Answers that looked wrong and that somebody has looked at again: how many, and how many of them were changed.

    It leaves out how many are still open: from that, a lead could tell which open reviews are second looks.
    """

    model_config = STRICT
    answered: Count = 0
    changed: Count = 0


class MeasuredBundle(BaseModel):
    """A bundle. `kept`: its files are there, so that it can be promoted. `reasons`: the first of the gate."""

    model_config = STRICT
    bundle_version: Name
    stage: Name
    policy_version: Count
    created_at: Moment
    promoted_at: Moment | None
    kept: bool
    reasons: Annotated[tuple[Words, ...], Field(max_length=MAX_GATE_REASONS)] = ()


class QualityMeasured(Event):
    """The quality of decisions, labels and reviewers, as the trainer measured it. The newest record counts.

    `certify_items`: judged items that the active model did not learn from. `reasons` says why the last look at the
    evidence left sides off. `frontier`: what other risks would cost; empty before the first look.
    `overturned`: of all audited decisions, also outside the uniform sample, how many people decided otherwise.
    `reviewers` lists those who gave the most of the newest judgements, the busiest first. `confirmed`: of the items
    that certify, how many two people at least answered alike; None from a trainer that did not measure it. `bundles`:
    the newest ones, the newest first.
    """

    topic: ClassVar[str] = "quality.measured"
    type: ClassVar[str] = "QualityMeasured"

    measured_at: Moment
    bundle_version: Name | None
    sides: Annotated[tuple[MeasuredSide, ...], Field(max_length=1 + MAX_LABELS)]
    certify_items: Count
    reasons: Annotated[tuple[Words, ...], Field(max_length=MAX_REASONS)] = ()
    labels: Annotated[tuple[MeasuredLabel, ...], Field(max_length=MAX_LABELS)]
    reviewers: Annotated[tuple[MeasuredReviewer, ...], Field(max_length=MAX_REVIEWERS)]
    second_looks: MeasuredSecondLooks
    overturned: MeasuredShare
    confirmed: MeasuredShare | None = None
    frontier: Annotated[tuple[FrontierPoint, ...], Field(max_length=MAX_POINTS)] = ()
    bundles: Annotated[tuple[MeasuredBundle, ...], Field(max_length=MAX_BUNDLES)] = ()

    @property
    def key(self) -> str:
        return "quality"
