import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from secondlook.trainer.data.suspects import find_suspects

NAN = float("nan")


def test_flipped_answers_are_found_first_and_nothing_is_changed() -> None:
    rng = np.random.default_rng(0)
    logits = np.where(rng.random(2000) < 0.2, 3.0, -3.0) + rng.normal(size=2000)
    targets = (rng.random(2000) < expit(logits)).astype(float)
    flipped = rng.choice(2000, 60, replace=False)
    targets[flipped] = 1 - targets[flipped]
    before = targets.copy()
    suspects = find_suspects(["hate"], expit(logits)[:, None], targets[:, None])
    assert np.array_equal(targets, before)
    found = [suspect.row for suspect in suspects]
    assert len(set(found) & set(flipped)) >= 45
    assert len(set(found[:30]) & set(flipped)) >= 20
    assert all(suspect.given == bool(targets[suspect.row]) for suspect in suspects)
    assert [suspect.score for suspect in suspects] == sorted(suspect.score for suspect in suspects)


def test_a_rare_label_has_suspects_below_one_half() -> None:
    """No probability reaches 0.5; 0.4 is far more than the yes answers usually get."""
    probabilities = np.array([0.3, 0.3, 0.3, 0.4, *[0.01] * 50])
    targets = np.array([1.0, 1, 1, 0, *[0] * 50])
    (suspect,) = find_suspects(["rare"], probabilities[:, None], targets[:, None])
    assert (suspect.row, suspect.label, suspect.given) == (3, "rare", False)
    assert suspect.score == pytest.approx(0.6)


def test_what_the_model_is_not_confident_of_is_no_suspect() -> None:
    probabilities = np.array([0.9, 0.9, 0.1, 0.1, 0.6])
    targets = np.array([1.0, 1, 0, 0, 0])
    assert find_suspects(["a"], probabilities[:, None], targets[:, None]) == ()


def test_unknown_targets_and_probabilities_take_no_part() -> None:
    probabilities = np.array([[0.9, 0.9], [0.9, NAN], [0.1, 0.1], [0.1, 0.1], [0.95, 0.95], [0.95, 0.95]])
    targets = np.array([[1, 1.0], [1, 1], [0, 0], [0, 0], [0, 0], [NAN, NAN]])
    suspects = find_suspects(["a", "b"], probabilities, targets)
    assert [(suspect.row, suspect.label) for suspect in suspects] == [(4, "a"), (4, "b")]
    assert find_suspects(["a", "b"], probabilities, targets, limit=1) == suspects[:1]


@pytest.mark.parametrize("targets", [[1.0, 1, 1], [0.0, 0, 0], [NAN, NAN, NAN]])
def test_a_label_with_one_answer_has_no_suspects(targets: list[float]) -> None:
    assert find_suspects(["a"], np.array([[0.1], [0.5], [0.9]]), np.array(targets)[:, None]) == ()


def test_nothing_in_nothing_out() -> None:
    assert find_suspects([], np.empty((0, 0)), np.empty((0, 0))) == ()
    assert find_suspects(["a"], np.empty((0, 1)), np.empty((0, 1))) == ()


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [([[0.5]], [[0.0], [1.0]], "targets"), ([[1.5]], [[1.0]], "between 0 and 1"), ([[0.5]], [[0.5]], "0, 1 or NaN")],
)
def test_bad_input_is_refused(probabilities: list[list[float]], targets: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_suspects(["a"], np.array(probabilities), np.array(targets))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from([0.0, 1.0, NAN])), max_size=30))
@example(list(zip((29, 35, 25, 100, 0, 59, 83, 100, 100), (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0), strict=True)))
def test_yes_and_no_are_treated_alike(rows: list[tuple[int, float]]) -> None:
    probabilities = np.array([[p / 100] for p, _ in rows]).reshape(-1, 1)
    targets = np.array([[target] for _, target in rows]).reshape(-1, 1)
    suspects = find_suspects(["a"], probabilities, targets)
    mirrored = find_suspects(["a"], 1 - probabilities, 1 - targets)
    assert {s.row for s in suspects} == {s.row for s in mirrored}
    for suspect in suspects:
        assert suspect.score == pytest.approx(
            probabilities[suspect.row, 0] if suspect.given else 1 - probabilities[suspect.row, 0]
        )
