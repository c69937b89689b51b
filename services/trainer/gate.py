"""The gate: whether a challenger may take the place of the active bundle. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.common.manifest import LabelMetrics


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse than the active bundle still counts as not worse: the noise of a hold-out, not a licence to decay.

    `auprc` is for the mean over labels, `label_auprc` for any single one; `log_loss` is relative to the active mean.
    """

    auprc: float = 0.01
    label_auprc: float = 0.10
    log_loss: float = 0.05
    minimum_each: int = 5


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether to promote, and every reason for that, for a person to read."""

    promote: bool
    reasons: tuple[str, ...]


def compare(
    challenger: Mapping[str, LabelMetrics],
    active: Mapping[str, LabelMetrics] | None,
    *,
    policy_labels: Sequence[str],
    margins: Margins | None = None,
) -> GateDecision:
    """Compare two bundles by their metrics on the same frozen hold-out; the keys are the labels a bundle has.

    Promoted is what loses no label that the policy acts on and is not worse, on the mean and on any label, beyond the
    margins. Only labels with `minimum_each` positives and negatives count. With no active bundle, or none of its labels
    left in the policy, every label of the policy must be there.

    Raises:
        ValueError: the metrics of a label were not measured on the same items.
    """
    margins = margins or Margins()
    acted_on = [label for label in policy_labels if active is not None and label in active]
    if active is None or not acted_on:
        missing = [label for label in policy_labels if label not in challenger]
        if missing:
            return GateDecision(False, (f"no active bundle, and no model for: {', '.join(missing)}",))
        return GateDecision(True, ("no active bundle, and every label of the policy has a model",))

    if lost := [label for label in acted_on if label not in challenger]:
        return GateDecision(False, (f"the active bundle has labels that the new one lacks: {', '.join(lost)}",))
    for label in acted_on:
        if (challenger[label].n, challenger[label].positives) != (active[label].n, active[label].positives):
            raise ValueError(f"label {label}: the bundles were measured on different items")
    counted = [label for label in acted_on if _counts(active[label], margins.minimum_each)]
    notes = [
        f"{label}: not compared, the hold-out has {active[label].positives} positives of {active[label].n}"
        for label in acted_on
        if label not in counted
    ]
    notes += [
        f"{label}: new, the active bundle lacks it"
        for label in policy_labels
        if label in challenger.keys() - active.keys()
    ]
    if not counted:
        reason = f"the hold-out compares no label: none has {margins.minimum_each} positives and negatives"
        return GateDecision(False, (reason, *notes))
    worse, kept = _judge(challenger, active, counted, margins)
    return GateDecision(not worse, (*(worse or kept), *notes))


def _judge(
    challenger: Mapping[str, LabelMetrics],
    active: Mapping[str, LabelMetrics],
    counted: Sequence[str],
    margins: Margins,
) -> tuple[list[str], list[str]]:
    """What is worse, and what is not, in words."""
    worse: list[str] = []
    kept: list[str] = []
    new, old = (_mean(bundle, counted, "auprc") for bundle in (challenger, active))
    line = f"mean AUPRC {new:.3f}, active {old:.3f}, margin {margins.auprc}"
    (kept if new >= old - margins.auprc else worse).append(line)
    new, old = (_mean(bundle, counted, "log_loss") for bundle in (challenger, active))
    line = f"mean log loss {new:.4f}, active {old:.4f}, margin {margins.log_loss:.0%}"
    (kept if new <= old * (1 + margins.log_loss) else worse).append(line)
    for label in counted:
        new, old = challenger[label].auprc or 0.0, active[label].auprc or 0.0
        if new < old - margins.label_auprc:
            worse.append(f"{label}: AUPRC {new:.3f}, active {old:.3f}, margin {margins.label_auprc}")
    return worse, kept


def _mean(bundle: Mapping[str, LabelMetrics], labels: Sequence[str], metric: str) -> float:
    return sum(float(getattr(bundle[label], metric) or 0.0) for label in labels) / len(labels)


def _counts(metrics: LabelMetrics, minimum: int) -> bool:
    return min(metrics.positives, metrics.n - metrics.positives) >= minimum
