"""What audits say of the sides that are on: whether one of them is wrong more often than the policy allows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.sides import APPROVE, Side, bare, deciding, sides
from secondlook.common.contract.policy import Risk, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.trainer.evidence.alarms import changed_risk


@dataclass(frozen=True, slots=True)
class Audited:
    """An item that the coin drew: scores of the weights, answers of people, `scope` of its text.

    `number`: its place among all that people were asked about, 0 if that is not known.
    """

    received: int
    scores: Mapping[str, float]
    labels: Mapping[str, bool]
    scope: Scope = Scope.FITS
    number: int = 0


@dataclass(frozen=True, slots=True)
class SideState:
    """What the audits say of one side so far: `errors` of `audits`, and the bound that held at every moment."""

    side: Side
    audits: int
    errors: int
    lower: float
    epsilon: float
    fired: bool


def judge(
    audited: Sequence[Audited], thresholds: CertifiedThresholds, risk: Risk, marks: Mapping[Side, int]
) -> list[SideState]:
    """What audits say of each side that is on. Items numbered up to a side's mark belong to an earlier alarm."""
    found, decides = [], bare(thresholds)
    for side in sides(thresholds):
        epsilon = risk.approve if side == APPROVE else risk.reject
        counted = [wrongly(side, item, decides) for item in audited if item.number > marks.get(side, -1)]
        decided = [wrong for wrong in counted if wrong is not None]
        alarm = changed_risk(decided, epsilon, 1 - risk.confidence)
        found.append(SideState(side, alarm.n, alarm.k, alarm.lower_bound, epsilon, alarm.fired))
    return found


def wrongly(side: Side, item: Audited, thresholds: Thresholds) -> bool | None:
    """Whether this side decides the item wrongly; None if it does not decide it, or if nobody judged its label.

    An approval counts as right where some labels were not judged and no judged one applies: the alarm then fires later,
    and never falsely. Certificates leave such items out (`sample.judge_approvals`), which can only overstate the risk.
    """
    if side not in deciding(item.scores, thresholds, scope=item.scope):
        return None
    if side.label is None:
        return any(item.labels.values())
    return None if side.label not in item.labels else not item.labels[side.label]
