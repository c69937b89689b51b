"""The gate: whether a challenger may take the place of the active bundle. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.trainer.gate import questions
from secondlook.trainer.gate.check import Check
from secondlook.trainer.gate.contested import Contested, contested_slices, without_each
from secondlook.trainer.gate.questions import Automation, Margins, Paired, pair, probabilities

__all__ = ["Check", "Evidence", "GateDecision", "Margins", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The measurements of a challenger and of the active bundle, on the same texts. L labels: those of the policy.

    Attributes:
        targets: [n, L] of gold items and recent audits that neither bundle learned from: 1, 0, NaN unknown.
        challenger: [n, L] calibrated scores.
        active: [n, L] or None: there is no active bundle, or it cannot be opened. NaN for a label that it lacks.
        slices: bool[n] each: named subsets such as `language=de`.
        contested: slices in which one person contradicts everybody else; that person measures neither bundle there.
        without: bool[n] each: the rows that are left without the judgements of one person.
        thresholds: what the challenger certified on judgements that no earlier attempt spent.
        certification_required: the policy is in mode certified, and the active bundle has certified sides.
        reference: [m, L] challenger scores of other traffic; m may be 0.
        active_reference: [m, L] active scores of the same texts.
        latency, active_latency: seconds a text.
        parity: the largest difference of the stored artefact's scores from the fitted model's, on the same texts.
        notes: what a person should read first.

    Raises:
        ValueError: no labels, shapes that do not fit, or targets other than 0, 1 and NaN.
    """

    labels: tuple[str, ...]
    targets: NDArray[Any]
    challenger: NDArray[Any]
    reference: NDArray[Any]
    active: NDArray[Any] | None = None
    active_reference: NDArray[Any] | None = None
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    contested: tuple[Contested, ...] = ()
    without: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    thresholds: CertifiedThresholds | None = None
    active_thresholds: CertifiedThresholds | None = None
    certification_required: bool = False
    latency: float | None = None
    active_latency: float | None = None
    parity: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        judged, traffic = (len(self.targets), len(self.labels)), (len(self.reference), len(self.labels))
        shapes = {
            "targets": (self.targets, judged),
            "challenger": (self.challenger, judged),
            "active": (self.active, judged),
            "reference": (self.reference, traffic),
            "active_reference": (self.active_reference, traffic),
            **{f"slice {name}": (inside, judged[:1]) for name, inside in {**self.slices, **self.without}.items()},
        }
        given = [(name, array.shape, fits) for name, (array, fits) in shapes.items() if array is not None]
        if wrong := [f"{name} {shape}, not {fits}" for name, shape, fits in given if shape != fits]:
            raise ValueError("; ".join(wrong))
        if not self.labels:
            raise ValueError("no labels")
        if not np.isin(self.targets[~np.isnan(self.targets)], (0, 1)).all():
            raise ValueError("targets are 0, 1 or NaN")


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether to promote, and every check behind that."""

    promote: bool
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether nothing keeps the challenger out but that too little is certified of it: evidence may still come."""
        failed = {check.name for check in self.checks if check.passed is False}
        return bool(failed) and failed <= {"certification", "coverage"}

    @property
    def reasons(self) -> tuple[str, ...]:
        """The notes and every check in words, what failed first, for a person to read."""
        order = sorted(self.checks, key=lambda check: (False, True, None).index(check.passed))
        return (*self.notes, *map(str, order))


def decide(evidence: Evidence, margins: Margins = Margins()) -> GateDecision:
    """Promote a challenger that is shown to be no worse than the active bundle; every check is made in any case.

    A challenger that fails a check is not promoted. A check with too little data neither helps nor hinders, but:

    - Every label of the policy needs a model that gives a probability for every text, with or without an active bundle:
      the router uses no other. So no label that people act on vanishes.
    - No active bundle, or none of its labels left in the policy: nothing is decided automatically, so nothing can get
      worse, and a model for every label is enough. A broken artefact is not promoted even then.
    - An active bundle, and no label with enough positives and negatives to compare: not promoted, because
      "no worse" must be shown, and without evidence nothing is.
    - An active bundle that lacks some label of the policy: the router sends everything to review, so the challenger
      is compared by point estimates only, on the labels that both have, and promoted if there is nothing to compare.
    - Fewer than `margins.bound_from` items: point estimates too, or a new deployment would keep its first bundle.
    - One person never decides: without anybody's judgements the challenger must not be clearly worse, and where one
      person contradicts everybody else it must follow the others as closely as the active bundle.
    - Certified thresholds in use: a challenger that certifies no side is not promoted, as it would stop them all.
      They are not in use where the active bundle lacks some label of the policy.

    A challenger that is truly worse by the whole margin passes `gold` with 5 % chance, each time one is tried. A flaw
    that none of the judged items shows cannot be seen here: one text in 100 is missed by 150 items in a fifth of cases.
    """
    known = _acted_on(evidence)
    checks = [_models(evidence, known)]
    if evidence.active is None or not known:
        checks.append(Check("gold", None, "no active bundle to compare with"))
    else:
        paired = pair(evidence.labels, evidence.targets, evidence.challenger, evidence.active)
        checks += _compared(paired, known, evidence.slices, margins)
        checks += contested_slices(evidence.contested, margins)
        checks += without_each(paired, evidence.without, margins)
    complete = evidence.active is None or len(known) == len(evidence.labels)
    in_use = evidence.certification_required and complete
    new = Automation(evidence.labels, evidence.reference, evidence.thresholds)
    old = Automation(evidence.labels, evidence.active_reference, evidence.active_thresholds)
    checks += [
        questions.certification(new, old, required=in_use),
        questions.coverage(new, old, margins, required=in_use),
        questions.latency(evidence.latency, evidence.active_latency, margins),
        questions.parity(evidence.parity, margins),
    ]
    return GateDecision(all(check.passed is not False for check in checks), tuple(checks), evidence.notes)


def _acted_on(evidence: Evidence) -> list[int]:
    """The columns of the labels that the active bundle has: all, if it was given no text to score."""
    if evidence.active is None:
        return []
    reference = evidence.active_reference
    seen = evidence.active if reference is None else np.concatenate([evidence.active, reference])
    return [i for i in range(len(evidence.labels)) if not len(seen) or not np.isnan(seen[:, i]).all()]


def _models(evidence: Evidence, known: list[int]) -> Check:
    usable = probabilities(np.concatenate([evidence.challenger, evidence.reference]))
    missing = [label for i, label in enumerate(evidence.labels) if not usable[:, i].all()]
    acted_on = [evidence.labels[i] for i in known]
    new = [label for label in evidence.labels if label not in acted_on]
    if missing:
        lost = [label for label in missing if label in acted_on]
        detail = f"no model for: {', '.join(missing)}; of these the active bundle has: {', '.join(lost) or 'none'}"
        return Check("labels", False, detail)
    detail = "every label of the policy has a model"
    before = f"; the active bundle lacks: {', '.join(new)}" if acted_on else "; no active bundle with any of them"
    return Check("labels", True, detail + (before if new else ""))


def _compared(
    paired: Paired, known: list[int], slices: Mapping[str, NDArray[Any]], margins: Margins
) -> Iterator[Check]:
    """Against the active bundle, on the labels that it has and that are judged often enough."""
    positives, negatives = (paired.targets == 1).sum(axis=0), (paired.targets == 0).sum(axis=0)
    counted = [i for i in known if min(positives[i], negatives[i]) >= margins.minimum_each]
    lacking = len(known) < len(paired.labels)
    needed = f"{margins.minimum_each} of each are needed"
    if counted:
        both = paired.of(counted)
        yield questions.not_inferior(both, margins, by_bound=not lacking)
        yield from questions.auprc(both, margins)
        yield from questions.slices(both, slices, margins)
    else:
        detail = f"no label has enough positives and negatives among {len(paired.targets)} items, {needed}"
        why = "; the active bundle lacks labels of the policy and decides nothing, so nothing can get worse"
        yield Check("gold", None if lacking else False, detail + (why if lacking else ""))
    for i in known:
        if i not in counted:
            detail = f"{positives[i]} positives and {negatives[i]} negatives, {needed}"
            yield Check(f"label {paired.labels[i]}", None, detail)
