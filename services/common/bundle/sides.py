"""What the sides of a bundle decide: the one rule behind routing, audits, certificates, gate, watch and benchmarks.

A side is one automatic decision: to approve, or to reject as one label. Given a probability for every label,

- `reject LABEL` decides what scores at least its threshold for the label;
- `approve` decides what scores at most its threshold for every label, unless a side rejects it;
- what the model was not made for (`secondlook.common.text.scope`) no side decides, except that a text that was read in
  part can be rejected;
- a side without a threshold decides nothing, and nothing is decided without a probability for every label.

The policy may still send an item to review (kill switch, override), and the audit coin may ask a person to check a
decision: `secondlook.router.routing` does both. `tests/unit/test_sides.py` ties every user of this rule to it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Array, Bools, Scopes
from secondlook.common.bundle.certificates import TOLERANCE, CertifiedThreshold, CertifiedThresholds, side_delta
from secondlook.common.contract.fields import Label, Outcome
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.text.scope import Scope


@dataclass(frozen=True, slots=True, order=True)
class Side:
    """One automatic decision that a bundle may make. `label` is None for approvals, which are about all labels."""

    outcome: Outcome
    label: Label | None = None

    def __str__(self) -> str:
        """`approve`, `reject LABEL`: what people read, and what the database keeps."""
        return self.outcome if self.label is None else f"{self.outcome} {self.label}"

    @classmethod
    def named(cls, name: str) -> "Side":
        """The side of this name, as the database keeps it; ValueError if there is none."""
        side = APPROVE if name == str(APPROVE) else reject(name.removeprefix("reject "))
        if str(side) != name:
            raise ValueError(f"{name!r} is not the name of a side")
        return side


APPROVE = Side("approve")


def reject(label: Label) -> Side:
    """The side that rejects as this label."""
    return Side("reject", label)


def is_probability(score: float) -> bool:
    """Whether a score can be acted on; NaN cannot."""
    return 0 <= score <= 1


def deciding(scores: Mapping[Label, float], thresholds: Thresholds, *, scope: Scope) -> tuple[Side, ...]:
    """The sides that decide one item: some rejections by label, or to approve, or none, which leaves it to a person.

    Args:
        scores: a probability for every label of the policy. Thresholds for other labels do not count.
        scope: whether the model was made for the text.
    """
    over = [label for label, score in scores.items() if score >= thresholds.reject.get(label, math.inf)]
    if over:
        return tuple(reject(label) for label in sorted(over)) if scope.rejectable else ()
    if scope.approvable and scores and thresholds.approve is not None and max(scores.values()) <= thresholds.approve:
        return (APPROVE,)
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class SideDecisions:
    """What sides decide of n items: `approved` bool[n]; `rejected` bool[n, labels], an item by one label or several."""

    approved: Bools
    rejected: Bools

    @property
    def automatic(self) -> Bools:
        """bool[n]: some side decides the item."""
        return np.asarray(self.approved | self.rejected.any(axis=1), np.bool_)


def decisions(
    labels: Sequence[Label], scores: NDArray[Any], thresholds: Thresholds, scopes: Scopes | None = None
) -> SideDecisions:
    """`deciding` for scores[n, labels], the labels being those of the policy; if no `scopes` uint8[n] are given, the
    model was made for all texts."""
    columns = [
        reach(reject(label), labels, scores) <= -thresholds.reject.get(label, math.inf) for label in labels
    ]  # of no side that is off: nothing reaches as far as -inf
    rejected = np.column_stack(columns) if columns else np.zeros((len(scores), 0), np.bool_)
    approved = np.zeros(len(scores), np.bool_)
    if thresholds.approve is not None:
        approved = (reach(APPROVE, labels, scores) <= thresholds.approve) & ~rejected.any(axis=1)
    if scopes is None:
        return SideDecisions(approved, rejected)
    rejections = np.array([in_scope(reject(label), scopes) for label in labels], np.bool_).reshape(rejected.T.shape).T
    return SideDecisions(approved & in_scope(APPROVE, scopes), rejected & rejections)


def in_scope(side: Side, scopes: Scopes) -> Bools:
    """bool[n]: whether the side may decide texts of these scopes uint8[n], whatever they score."""
    allowed = [scope.approvable if side.label is None else scope.rejectable for scope in Scope]
    return np.array(allowed, np.bool_)[np.asarray(scopes, np.intp)]


def automatable(policy: Policy, source: str, kind: str, language: str | None, signals: Collection[str] = ()) -> bool:
    """Whether a side may decide such content, of which there are these signals: not if the policy sends all of it to
    review, whatever it scores, or requires another signal."""
    if not set(policy.signals.required) <= set(signals):
        return False
    override = policy.override_for(source, kind, language)
    return override is None or not override.review_all


def reach(side: Side, labels: Sequence[Label], scores: NDArray[Any]) -> Array:
    """How far a side has to reach to decide each item of scores[n, labels], float64[n]: the lower, the surer it is.

    At the threshold t, `approve` decides the items whose reach is at most t, `reject LABEL` those whose reach is at
    most -t, unless another rule forbids it: `in_scope`, and for approvals that no side rejects the item. Infinite for
    an item without a probability for every label.
    """
    scores = np.asarray(scores, np.float64)
    keys = scores.max(axis=1, initial=0.0) if side.label is None else -scores[:, list(labels).index(side.label)]
    return np.where(usable(scores) & bool(labels), keys, np.inf)


def usable(scores: NDArray[Any]) -> Bools:
    """bool[n]: whether each of scores[n, labels] is a probability, without which the router asks a person."""
    return np.asarray(((scores >= 0) & (scores <= 1)).all(axis=1), np.bool_)


def as_routed(scores: NDArray[Any]) -> Array:
    """In the precision of the classifier, in which the router compares scores with thresholds."""
    return np.asarray(scores, np.float32).astype(np.float64)


def by_side(thresholds: CertifiedThresholds | None) -> dict[Side, CertifiedThreshold]:
    """The sides that are on, approvals first."""
    if thresholds is None:
        return {}
    approve = {} if thresholds.approve is None else {APPROVE: thresholds.approve}
    return approve | {reject(label): thresholds.reject[label] for label in sorted(thresholds.reject)}


def sides(thresholds: CertifiedThresholds | None) -> list[Side]:
    """The sides that are on, approvals first."""
    return list(by_side(thresholds))


def bare(certified: CertifiedThresholds | None) -> Thresholds:
    """The thresholds without their certificates, as routing takes them; every side is off without any."""
    certified = certified or CertifiedThresholds()
    return Thresholds(
        approve=certified.approve.threshold if certified.approve else None,
        reject={label: side.threshold for label, side in certified.reject.items()},
    )


def held_back(policy: Policy, certified: CertifiedThresholds | None, labels: Collection[Label]) -> dict[Side, str]:
    """The certified sides that decide nothing under a policy, each with the reason, for a person to read.

    They are certified for more risk or less confidence than the policy allows now, or for other labels. Under a policy
    that allows it, they decide again. `labels` are those of the bundle.
    """
    found = {side: _too_weak(policy, side, on, labels) for side, on in by_side(certified).items()}
    return {side: why for side, why in found.items() if why is not None}


def _too_weak(policy: Policy, side: Side, on: CertifiedThreshold, labels: Collection[Label]) -> str | None:
    about = set(labels if on.labels is None else on.labels)
    if side.label is None and about != set(policy.labels):
        others = ", ".join(sorted(about ^ set(policy.labels)))
        return f"approvals are certified for other labels than those of the policy: {others}"
    if side.label is not None and side.label not in policy.labels:
        return f"the policy has no label {side.label}"
    allowed = policy.risk.approve if side.label is None else policy.risk.reject
    if on.certificate.epsilon > allowed:
        return f"certified for a risk of {on.certificate.epsilon:g}, and the policy allows {allowed:g}"
    most = side_delta(policy.risk, len(policy.labels), 1)
    if on.certificate.delta > most * (1 + TOLERANCE):
        confidence = policy.risk.confidence
        return f"certified at delta {on.certificate.delta:g}, and confidence {confidence:g} allows a side {most:g}"
    return None


def upheld(policy: Policy, certified: CertifiedThresholds | None, labels: Collection[Label]) -> CertifiedThresholds:
    """The certified sides that are as good as the policy asks; `labels` are those of the bundle."""
    return without(certified or CertifiedThresholds(), held_back(policy, certified, labels))


def in_force(policy: Policy | None, certified: CertifiedThresholds | None, labels: Collection[Label]) -> Thresholds:
    """What a bundle decides by under a policy: its own thresholds in mode fixed, else the bundle's that are `upheld`.

    `labels` are those of the bundle. Without a policy nothing is decided.
    """
    if policy is None:
        return Thresholds()
    return policy.thresholds if policy.mode == "fixed" else bare(upheld(policy, certified, labels))


def without(thresholds: CertifiedThresholds, off: Collection[Side]) -> CertifiedThresholds:
    """The thresholds with these sides off."""
    return CertifiedThresholds(
        approve=None if APPROVE in off else thresholds.approve,
        reject={label: side for label, side in thresholds.reject.items() if reject(label) not in off},
    )


def widest(old: CertifiedThresholds | None, new: CertifiedThresholds) -> CertifiedThresholds:
    """Of each side the threshold that decides more. Both stay certified: attempts share one chance of error."""
    if old is None:
        return new
    approves = [side for side in (old.approve, new.approve) if side is not None]
    wider = {
        label: min((each.reject[label] for each in (old, new) if label in each.reject), key=lambda side: side.threshold)
        for label in sorted({*old.reject, *new.reject})
    }
    lowest = min((side.threshold for side in wider.values()), default=2.0)
    clear = [side for side in approves if side.threshold < lowest]  # no item is both rejected and approved
    return CertifiedThresholds(approve=max(clear, key=lambda side: side.threshold, default=None), reject=wider)


def filled(thresholds: CertifiedThresholds, others: CertifiedThresholds) -> CertifiedThresholds:
    """The thresholds, and of each side that has none the other's."""
    return CertifiedThresholds(
        approve=thresholds.approve or others.approve, reject={**others.reject, **thresholds.reject}
    )
