"""What a promise costs: what could be certified now at other risks than the policy's, and what people would judge.
Pure."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.sides import Side, as_routed, bare, decisions
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.quality import FrontierPoint
from secondlook.trainer.evidence.certify import Grids, certify
from secondlook.trainer.evidence.sample import Sample

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)  # times the risks of the policy
MOST_RISK = 0.49


def automated_share(sample: Sample, thresholds: CertifiedThresholds) -> float:
    """About how much of the content these thresholds decide; 0 of nothing.

    Items whose coin lies below what was judged of everything are a fair sample of the content, once weighed.
    """
    share = np.minimum(sample.approve, sample.reject)
    fair = np.flatnonzero(sample.u < share)
    if not len(fair):
        return 0.0
    scores = as_routed(sample.scores[fair])
    decided = decisions(sample.labels, scores, bare(thresholds), sample.scopes[fair]).automatic
    stands_for = 1 / share[fair]
    return float(np.sum(stands_for * (decided & sample.automatable[fair])) / np.sum(stands_for))


def frontier(
    sample: Sample, grids: Grids, policy: Policy, deltas: Mapping[Side, float], marks: Mapping[Side, int], a_day: float
) -> tuple[FrontierPoint, ...]:
    """A point for each of the `FACTORS`, for `a_day` items of content a day.

    It counts what all people said together, so that no certificate follows from it.
    """
    sample, points = replace(sample, people=None), []
    for factor in FACTORS:
        risk = policy.risk.model_copy(
            update={name: min(factor * getattr(policy.risk, name), MOST_RISK) for name in ("approve", "reject")}
        )
        found = certify(sample, grids, risk, deltas, marks)
        automated = automated_share(sample, found.thresholds)
        audited = max(policy.audit.certify, policy.audit.approve, policy.audit.reject)
        reviews = a_day * (1 - automated * (1 - audited))
        points.append(
            FrontierPoint(
                factor=factor, approve=risk.approve, reject=risk.reject, automated=round(automated, 4),
                reviews_a_day=round(reviews, 1),
            )
        )  # fmt: skip
    return tuple(points)
