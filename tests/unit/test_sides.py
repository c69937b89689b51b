"""Everything that counts what sides decide counts what `route` decides, item by item.

Set aside are the coin, the kill switch and overrides: they decide whether a person looks, not what a side says.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bench.certify_worlds import World
from secondlook.common.bundle.arrays import Array, Scopes
from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.sides import (
    APPROVE,
    Side,
    bare,
    by_side,
    deciding,
    decisions,
    in_force,
    reach,
    reject,
    sides,
    usable,
    widest,
    without,
)
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Risk, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.router.routing import route
from secondlook.router.state import InForce
from secondlook.trainer.evidence.certify import all_sides, certify, deltas_of
from secondlook.trainer.evidence.collaborative import risk_coverage
from secondlook.trainer.evidence.estimates import audit_errors
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import plain_sample
from secondlook.trainer.evidence.watch import Audited, judge, wrongly
from secondlook.trainer.gate.questions import Automation
from secondlook.trainer.run.audits import AuditedText, audit_estimates
from tests.certificates import SURE

LABELS = ("hate", "spam", "violence")
POLICY = Policy(name="p", labels={label: LabelPolicy(description="d") for label in LABELS}, audit=Audit(certify=0))
ITEM = ContentSubmitted(source="f", content_id="c", revision=1, text="t", created_at=datetime(2025, 1, 1, tzinfo=UTC))

# Few values, so that scores meet thresholds and each other; all of them are float32, as a classifier's are.
VALUES = [float(np.float32(value)) for value in (0, 1e-7, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 1 - 1e-6, 1)]
values = st.sampled_from(VALUES)
SCOPES = [*[Scope.FITS] * len(Scope), *Scope]  # as often one that is decided as one that is not
broken = st.sampled_from([math.nan, math.inf, -math.inf, -0.25, 1.25])
thresholds_of = st.builds(
    Thresholds, approve=st.none() | values, reject=st.dictionaries(st.sampled_from(LABELS), values)
)


@dataclass(frozen=True)
class Items:
    """Traffic: `scores` and `targets` [n, labels], `scopes` [n]."""

    scores: Array
    targets: Array
    scopes: Scopes

    def rows(self) -> list[dict[str, float]]:
        return [dict(zip(LABELS, row, strict=True)) for row in self.scores.tolist()]

    def routed(self, thresholds: Thresholds, policy: Policy = POLICY, *, scope: Scope | None = None) -> list[set[Side]]:
        """The sides by which `route` decides each item."""
        found = []
        for row, own in zip(self.rows(), self.scopes.tolist(), strict=True):
            routing = route(ITEM, row, thresholds, policy, u=0.5, scope=Scope(own) if scope is None else scope)
            found.append({APPROVE} if routing.outcome == "approve" else set(map(reject, routing.labels)))
        return found


@st.composite
def items_of(draw: st.DrawFn, scores: st.SearchStrategy[float] = values, most: int = 12) -> Items:
    n = draw(st.integers(1, most))
    # As often all scores alike, or hardly any item would be approved.
    row = st.tuples(*[scores] * len(LABELS)) | scores.map(lambda score: (score,) * len(LABELS))
    matrix = [draw(row) for _ in range(n)]
    targets = [[draw(st.sampled_from([0.0, 1.0])) for _ in LABELS] for _ in range(n)]
    scopes = draw(st.lists(st.sampled_from(SCOPES), min_size=n, max_size=n))
    return Items(np.array(matrix), np.array(targets), np.array(scopes, np.uint8))


def certified(thresholds: Thresholds) -> CertifiedThresholds:
    """As a bundle carries them: what is approved is never rejected."""
    lowest = min(thresholds.reject.values(), default=2.0)
    approve = None if thresholds.approve is None or thresholds.approve >= lowest else thresholds.approve
    return CertifiedThresholds(
        approve=None if approve is None else CertifiedThreshold(threshold=approve, certificate=SURE),
        reject={label: CertifiedThreshold(threshold=at, certificate=SURE) for label, at in thresholds.reject.items()},
    )


def count(routed: list[set[Side]], side: Side, items: Items) -> tuple[int, int]:
    """(wrong, all) of what this side decides."""
    column = None if side.label is None else LABELS.index(side.label)
    wrong = (items.targets == 1).any(axis=1) if column is None else items.targets[:, column] == 0
    decided = np.array([side in found for found in routed], np.bool_)
    return int((decided & wrong).sum()), int(decided.sum())


@given(items_of(values | broken), thresholds_of)
def test_the_rule_for_arrays_is_that_for_items(items: Items, thresholds: Thresholds) -> None:
    found, routed = decisions(LABELS, items.scores, thresholds, items.scopes), items.routed(thresholds)
    assert found.approved.tolist() == [APPROVE in each for each in routed]
    for column, label in enumerate(LABELS):
        assert found.rejected[:, column].tolist() == [reject(label) in each for each in routed]
    assert found.automatic.tolist() == [bool(each) for each in routed]
    assert usable(items.scores).tolist() == [all(0 <= p <= 1 for p in row) for row in items.scores.tolist()]


@given(items_of(), thresholds_of)
def test_the_rule_for_an_item_is_what_is_routed(items: Items, thresholds: Thresholds) -> None:
    for row, scope, routed in zip(items.rows(), items.scopes.tolist(), items.routed(thresholds), strict=True):
        assert set(deciding(row, thresholds, scope=Scope(scope))) == routed


@given(items_of(), thresholds_of, st.sampled_from(Scope))
def test_what_the_model_was_not_made_for_only_ever_moves_to_review(
    items: Items, thresholds: Thresholds, scope: Scope
) -> None:
    for fits, other in zip(
        items.routed(thresholds, scope=Scope.FITS), items.routed(thresholds, scope=scope), strict=True
    ):
        kept = scope is Scope.FITS or (scope is Scope.LONG and APPROVE not in fits)
        assert other == (fits if kept else set())


@given(items_of(values | broken), values)
def test_a_side_alone_decides_what_is_in_reach(items: Items, threshold: float) -> None:
    for side in (APPROVE, *map(reject, LABELS)):
        alone = Thresholds(approve=threshold) if side.label is None else Thresholds(reject={side.label: threshold})
        inside = reach(side, LABELS, items.scores) <= (threshold if side.label is None else -threshold)
        assert inside.tolist() == [side in found for found in items.routed(alone, scope=Scope.FITS)]


@given(items_of(), thresholds_of)
def test_the_watch_counts_what_is_routed(items: Items, given_thresholds: Thresholds) -> None:
    thresholds = certified(given_thresholds)
    routed = items.routed(bare(thresholds))
    audited = [
        Audited(number, row, {label: bool(said) for label, said in zip(LABELS, targets, strict=True)}, Scope(scope))
        for number, (row, targets, scope) in enumerate(
            zip(items.rows(), items.targets.tolist(), items.scopes.tolist(), strict=True), start=1
        )
    ]
    for side in sides(thresholds):
        decided = [wrongly(side, item, bare(thresholds)) is not None for item in audited]
        assert decided == [side in found for found in routed]
    assert {state.side: (state.errors, state.audits) for state in judge(audited, thresholds, Risk(), {})} == {
        side: count(routed, side, items) for side in sides(thresholds)
    }


@given(items_of(values | broken), thresholds_of, st.booleans())
def test_audit_estimates_count_what_is_routed(items: Items, thresholds: Thresholds, fixed: bool) -> None:
    policy = POLICY.model_copy(update={"mode": "fixed", "thresholds": thresholds}) if fixed else POLICY
    manifest: Any = SimpleNamespace(thresholds=certified(thresholds), labels=LABELS)
    bundle: Any = SimpleNamespace(manifest=manifest)
    audited = [
        AuditedText("t", row, {label: bool(said) for label, said in zip(LABELS, targets, strict=True)}, Scope(scope))
        for row, targets, scope in zip(items.rows(), items.targets.tolist(), items.scopes.tolist(), strict=True)
    ]
    by = in_force(policy, manifest.thresholds, LABELS)
    assert by == (thresholds if fixed else bare(certified(thresholds)))
    routed = items.routed(by, policy)
    found = audit_estimates(policy, bundle, audited)
    on = [*([APPROVE] if by.approve is not None else []), *map(reject, sorted(by.reject))]
    assert {each.side: (each.errors, each.n) for each in found} == {side: count(routed, side, items) for side in on}


@given(items_of(), thresholds_of)
def test_estimates_count_what_is_routed(items: Items, thresholds: Thresholds) -> None:
    decided, everything = (
        decisions(LABELS, items.scores, thresholds, items.scopes),
        np.ones(len(items.scopes), np.bool_),
    )
    errors = audit_errors(LABELS, decided.approved, decided.rejected, items.targets, everything)
    routed = items.routed(thresholds)
    assert (errors.approve.k, errors.approve.n) == count(routed, APPROVE, items)
    for label in LABELS:
        assert (errors.reject[label].k, errors.reject[label].n) == count(routed, reject(label), items)


@settings(max_examples=40)
@given(items_of(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.7, 0.9, 1.0]) | broken, most=120), st.integers(0, 99))
def test_certificates_count_what_is_routed(items: Items, seed: int) -> None:
    """So large a risk and so little confidence that a few items certify."""
    risk = Risk(approve=0.7, reject=0.7, confidence=0.51)
    repeated = Items(*(np.concatenate([array] * 4) for array in (items.scores, items.targets, items.scopes)))
    scores = repeated.scores.astype(np.float32).astype(np.float64)
    repeated = Items(scores, repeated.targets, repeated.scopes)
    order = np.random.default_rng(seed).permutation(len(scores))
    every = all_sides(LABELS)
    grids = {side: grid(side, LABELS, scores[order], repeated.scopes[order]) for side in every}
    sample = plain_sample(LABELS, scores, repeated.targets, scopes=repeated.scopes)
    found = certify(sample, grids, risk, deltas_of(dict.fromkeys(every, 1), risk, len(LABELS)))
    routed, known = repeated.routed(bare(found.thresholds)), {each.side: each for each in found.evidence}
    for side, on in by_side(found.thresholds).items():
        event("a side is certified")
        assert (known[side].wrong, known[side].judged) == count(routed, side, repeated)
        assert on.certificate.judged == known[side].judged
        assert on.certificate.k <= known[side].wrong
        assert on.certificate.n <= known[side].n, "up to its best moment"


@given(items_of(values | broken), thresholds_of)
def test_the_gate_counts_what_is_routed(items: Items, thresholds: Thresholds) -> None:
    """Were the model made for all texts: the gate does not know for which it is."""
    routed = items.routed(bare(certified(thresholds)), scope=Scope.FITS)
    share = Automation(LABELS, items.scores, certified(thresholds)).share()
    assert share == pytest.approx(np.mean([bool(each) for each in routed]))
    assert Automation(LABELS, None, certified(thresholds)).sides == by_side(certified(thresholds))


@given(items_of())
def test_risk_curves_count_what_is_routed(items: Items) -> None:
    """A side alone, were the model made for all texts."""
    wrong = (items.targets == 1).any(axis=1)
    for point in risk_coverage(reach(APPROVE, LABELS, items.scores), wrong, "approve"):
        routed = items.routed(Thresholds(approve=point.threshold), scope=Scope.FITS)
        k, n = count(routed, APPROVE, items)
        assert point.n == n
        assert point.risk == pytest.approx(k / n)
    for column, label in enumerate(LABELS):
        for point in risk_coverage(items.scores[:, column], items.targets[:, column], "reject"):
            k, n = count(
                items.routed(Thresholds(reject={label: point.threshold}), scope=Scope.FITS), reject(label), items
            )
            assert point.n == n
            assert point.risk == pytest.approx(k / n)


@given(items_of(), thresholds_of)
def test_the_benchmark_of_certificates_counts_what_is_routed(items: Items, thresholds: Thresholds) -> None:
    risk = Risk(approve=0.3, reject=0.3)
    world = World(LABELS, items.scores, items.targets, risk)
    routed = items.routed(thresholds, scope=Scope.FITS)
    assert world.coverage(thresholds) == pytest.approx(np.mean([bool(each) for each in routed]))
    counts = {side: count(routed, side, items) for side in (APPROVE, *map(reject, LABELS))}
    assert world.kept(thresholds) is all(k / n <= 0.3 for k, n in counts.values() if n)


@given(thresholds_of, st.booleans(), st.booleans())
def test_the_router_decides_by_the_thresholds_in_force(thresholds: Thresholds, fixed: bool, model: bool) -> None:
    policy = Policy(name="p", labels=POLICY.labels, mode="fixed", thresholds=thresholds) if fixed else POLICY
    opened: Any = SimpleNamespace(certified=certified(thresholds), labels=LABELS) if model else None
    expected = thresholds if fixed else bare(certified(thresholds)) if model else Thresholds()
    assert InForce(policy, 1, opened).thresholds == expected
    assert InForce(None, None, opened).thresholds == Thresholds(), "without a policy nothing is decided"


@given(thresholds_of, thresholds_of, st.sets(st.sampled_from((APPROVE, *map(reject, LABELS)))))
def test_sides_are_switched_off_and_widened_one_by_one(one: Thresholds, other: Thresholds, off: set[Side]) -> None:
    old, new = certified(one), certified(other)
    assert set(sides(without(old, off))) == set(sides(old)) - off
    assert all(by_side(old)[side] == left for side, left in by_side(without(old, off)).items())
    wide = widest(old, new)
    assert widest(None, new) == new
    for label in LABELS:
        at = [each.reject[label].threshold for each in (old, new) if label in each.reject]
        assert ([wide.reject[label].threshold] if label in wide.reject else []) == ([min(at)] if at else [])
    if wide.approve is not None:
        assert all(wide.approve.threshold < side.threshold for side in wide.reject.values())


@given(st.sampled_from((APPROVE, *map(reject, ("a", "approve", "reject", "a_b1")))))
def test_the_database_keeps_a_side_by_its_name(side: Side) -> None:
    assert Side.named(str(side)) == side
    assert str(side) == ("approve" if side.label is None else f"reject {side.label}")


@pytest.mark.parametrize("name", ["", "approve spam", "approved", "reject", "x spam", "spam"])
def test_what_is_no_name_of_a_side_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a side"):
        Side.named(name)
