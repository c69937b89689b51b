import pytest

from services.common.manifest import LabelMetrics
from services.trainer.gate import Margins, compare


def metrics(auprc: float = 0.8, log_loss: float = 0.2, n: int = 200, positives: int = 50) -> LabelMetrics:
    return LabelMetrics(n=n, positives=positives, auroc=0.9, auprc=auprc, log_loss=log_loss, brier=0.1, ece=0.02)


LABELS = ("hate", "spam")
ACTIVE = {"hate": metrics(), "spam": metrics()}


@pytest.mark.parametrize(
    ("hate", "spam", "promote", "word"),
    [
        (metrics(), metrics(), True, "mean AUPRC 0.800"),
        (metrics(0.9, 0.1), metrics(), True, "mean AUPRC 0.850"),
        (metrics(0.785), metrics(), True, "mean AUPRC"),  # within the margin of the mean
        (metrics(0.77), metrics(), False, "mean AUPRC 0.785, active 0.800"),
        (metrics(0.69), metrics(0.99), False, "hate: AUPRC 0.690, active 0.800"),
        (metrics(log_loss=0.21), metrics(log_loss=0.21), True, "mean log loss"),
        (metrics(0.9, 0.25), metrics(), False, "mean log loss 0.2250, active 0.2000"),
    ],
)
def test_not_worse_is_promoted(hate: LabelMetrics, spam: LabelMetrics, promote: bool, word: str) -> None:
    decision = compare({"hate": hate, "spam": spam}, ACTIVE, policy_labels=LABELS)
    assert decision.promote is promote
    assert word in " ".join(decision.reasons)


def test_a_label_that_people_act_on_does_not_vanish() -> None:
    decision = compare({"hate": metrics(0.99, 0.01)}, ACTIVE, policy_labels=LABELS)
    assert not decision.promote
    assert "lacks: spam" in decision.reasons[0]
    assert compare({"hate": metrics()}, ACTIVE, policy_labels=["hate"]).promote


def test_without_an_active_bundle_every_label_is_needed() -> None:
    assert compare(ACTIVE, None, policy_labels=LABELS).promote
    decision = compare({"hate": metrics()}, None, policy_labels=LABELS)
    assert not decision.promote
    assert "spam" in decision.reasons[0]


def test_a_policy_with_other_labels_starts_anew() -> None:
    assert compare({"fraud": metrics()}, ACTIVE, policy_labels=["fraud"]).promote
    assert not compare({}, ACTIVE, policy_labels=["fraud"]).promote


def test_a_new_label_neither_helps_nor_hinders() -> None:
    new = {**ACTIVE, "fraud": metrics(0.1, 2.0)}
    decision = compare(new, ACTIVE, policy_labels=[*LABELS, "fraud"])
    assert decision.promote
    assert "fraud: new, the active bundle lacks it" in decision.reasons


@pytest.mark.parametrize("counts", [(200, 4), (54, 50), (0, 0)])
def test_a_label_with_few_judged_items_is_not_compared(counts: tuple[int, int]) -> None:
    rare = LabelMetrics(n=counts[0], positives=counts[1])
    decision = compare({"hate": metrics(), "spam": rare}, {"hate": metrics(), "spam": rare}, policy_labels=LABELS)
    assert decision.promote
    assert any(reason.startswith("spam: not compared") for reason in decision.reasons)
    nothing = compare({"spam": rare}, {"spam": rare}, policy_labels=["spam"])
    assert not nothing.promote
    assert "compares no label" in nothing.reasons[0]


def test_margins_are_declared() -> None:
    worse = {"hate": metrics(0.75), "spam": metrics(0.75)}
    assert not compare(worse, ACTIVE, policy_labels=LABELS).promote
    assert compare(worse, ACTIVE, policy_labels=LABELS, margins=Margins(auprc=0.06)).promote


def test_metrics_of_different_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different items"):
        compare({**ACTIVE, "spam": metrics(n=201)}, ACTIVE, policy_labels=LABELS)
