from collections.abc import Mapping

import numpy as np
import pytest

from secondlook.trainer.data.quality import PRIOR, Rating, majority, reviewer_quality


def votes(label: str, by_item: Mapping[str, Mapping[str, bool]]) -> list[Rating]:
    return [Rating(item, who, {label: answer}) for item, answers in by_item.items() for who, answer in answers.items()]


def simulated(
    accuracy: Mapping[str, tuple[float, float]], n: int = 400, prevalence: float = 0.3, seed: int = 0
) -> tuple[list[Rating], dict[str, bool]]:
    """Judgements by reviewers of known sensitivity and specificity, and the truth."""
    rng = np.random.default_rng(seed)
    truth = {f"item-{i}": bool(rng.random() < prevalence) for i in range(n)}
    judgements = [
        Rating(item, who, {"hate": bool(rng.random() < (sensitivity if yes else 1 - specificity))})
        for item, yes in truth.items()
        for who, (sensitivity, specificity) in accuracy.items()
    ]
    return judgements, truth


def test_the_majority_leaves_ties_open() -> None:
    judgements = [
        *votes("hate", {"a": {"x": True, "y": True, "z": False}, "b": {"x": True, "y": False}, "c": {"x": False}}),
        Rating("d", "x", {}),
    ]
    assert majority(judgements) == {"a": {"hate": True}, "b": {"hate": None}, "c": {"hate": False}, "d": {}}
    assert majority([]) == {}


def test_the_last_judgement_of_a_reviewer_counts() -> None:
    judgements = [
        Rating("a", "x", {"hate": True, "spam": True}),
        Rating("a", "y", {"hate": False}),
        Rating("a", "x", {"hate": False}),
    ]
    assert majority(judgements) == {"a": {"hate": False}}
    assert [(who.reviewer, who.n) for who in reviewer_quality(judgements).reviewers] == [("x", 1), ("y", 1)]


def test_labels_that_were_not_judged_are_not_counted() -> None:
    judgements = [Rating("a", "x", {"hate": True}), Rating("a", "y", {"spam": True})]
    quality = reviewer_quality(judgements)
    assert set(quality.posterior["a"]) == {"hate", "spam"}
    assert [set(who.labels) for who in quality.reviewers] == [{"hate"}, {"spam"}]
    assert [who.agreement for who in quality.reviewers] == [None, None]


def test_it_finds_how_good_reviewers_are() -> None:
    accuracy = {"careful": (0.95, 0.97), "lenient": (0.5, 0.98), "strict": (0.95, 0.7), "usual": (0.85, 0.9)}
    judgements, truth = simulated(accuracy, n=1500)
    quality = reviewer_quality(judgements)
    for who in quality.reviewers:
        found = who.labels["hate"]
        assert found.n == who.n == 1500
        assert found.sensitivity.value == pytest.approx(accuracy[who.reviewer][0], abs=0.05)
        assert found.specificity.value == pytest.approx(accuracy[who.reviewer][1], abs=0.05)
        for estimate in (found.sensitivity, found.specificity):
            assert 0 <= estimate.lower < estimate.value < estimate.upper <= 1
    most = majority(judgements)
    weighed = np.mean([(quality.posterior[item]["hate"] > 0.5) == yes for item, yes in truth.items()])
    counted = np.mean([(most[item]["hate"] is True) == yes for item, yes in truth.items()])
    assert weighed > counted


def test_a_contrary_reviewer_counts_the_other_way() -> None:
    good = (0.9, 0.9)
    judgements, truth = simulated({"a": good, "b": good, "c": good, "contrary": (0.05, 0.05)})
    quality = reviewer_quality(judgements)
    of = {who.reviewer: who for who in quality.reviewers}
    assert of["contrary"].labels["hate"].sensitivity.upper < 0.2
    agreement = of["contrary"].agreement
    assert agreement is not None
    assert agreement < 0.2
    right = np.mean([(quality.posterior[item]["hate"] > 0.5) == yes for item, yes in truth.items()])
    assert right > 0.97  # three who are right nine times in ten alone reach 0.972


def test_a_reviewer_alone_is_believed_and_not_praised() -> None:
    quality = reviewer_quality(votes("hate", {f"{i}": {"x": i < 10} for i in range(40)}))
    (who,) = quality.reviewers
    assert (who.n, who.agreement, who.labels["hate"].n) == (40, None, 0)
    assert who.labels["hate"].sensitivity.value == pytest.approx(PRIOR[0] / sum(PRIOR))
    assert who.labels["hate"].sensitivity.upper - who.labels["hate"].sensitivity.lower > 0.4
    assert quality.posterior["0"]["hate"] > 0.5 > quality.posterior["39"]["hate"]


@pytest.mark.parametrize("answer", [True, False])
def test_one_answer_only_says_nothing_about_the_other(answer: bool) -> None:
    quality = reviewer_quality(votes("hate", {f"{i}": {"x": answer, "y": answer} for i in range(50)}))
    for who in quality.reviewers:
        assert who.agreement == 1
        seen, unseen = who.labels["hate"].sensitivity, who.labels["hate"].specificity
        if not answer:
            seen, unseen = unseen, seen
        assert seen.lower > 0.85
        assert unseen.upper - unseen.lower > 0.4
    assert all((posterior["hate"] > 0.9) is answer for posterior in quality.posterior.values())


def test_reviewers_who_always_agree_are_certain_together() -> None:
    quality = reviewer_quality(votes("hate", {f"{i}": dict.fromkeys("xyz", i % 3 == 0) for i in range(60)}))
    assert all(who.labels["hate"].sensitivity.value > 0.9 for who in quality.reviewers)
    assert quality.posterior["0"]["hate"] > 0.99
    assert quality.posterior["1"]["hate"] < 0.01


def test_two_who_always_disagree_leave_it_open() -> None:
    quality = reviewer_quality(votes("hate", {f"{i}": {"x": i % 2 == 0, "y": i % 2 == 1} for i in range(60)}))
    assert all(0.4 < posterior["hate"] < 0.6 for posterior in quality.posterior.values())
    assert [who.agreement for who in quality.reviewers] == [0, 0]


def test_the_order_of_items_does_not_matter_and_nothing_is_fine() -> None:
    judgements, _ = simulated({"a": (0.9, 0.8), "b": (0.7, 0.9), "c": (0.8, 0.8)}, n=60)
    forth, back = reviewer_quality(judgements), reviewer_quality(judgements[::-1])
    for item, posterior in forth.posterior.items():
        assert posterior["hate"] == pytest.approx(back.posterior[item]["hate"], abs=1e-6)
    assert reviewer_quality([]).reviewers == ()
