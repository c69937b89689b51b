"""Where one person contradicts everybody else, and where nobody does."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secondlook.trainer.evidence.dissent import LEAST, Dissent, confirmed, find_dissents

ROWS, FEATURES, PEOPLE, PHRASE = 4_000, 300, 8, 0
Many = NDArray[np.int64]


class Traffic:
    """Texts with random features; answers are drawn from the very probabilities that the model expects."""

    def __init__(self, seed: int, base: float = 0.4) -> None:
        self.rng = np.random.default_rng(seed)
        self.p = np.clip(self.rng.beta(2 * base, 2 * (1 - base), (ROWS, 1)), 0.01, 0.99)
        self.targets = (self.rng.random((ROWS, 1)) < self.p).astype(float)
        self.sole = self.rng.integers(0, PEOPLE, (ROWS, 1))
        self.contains = sp.lil_matrix((self.rng.random((ROWS, FEATURES)) < 0.02).astype(float))
        self.contains[:, PHRASE] = 0
        self.contains[:, FEATURES - 1] = 1  # all texts

    def rows(self, count: int, *, person: int = 0, likely: bool | None = None) -> Many:
        """Some of a person's rows; of those that the model expects to be yes, or no."""
        mine = self.sole[:, 0] == person
        if likely is not None:
            mine &= (self.p[:, 0] >= 0.7) if likely else (self.p[:, 0] <= 0.3)
        return np.asarray(self.rng.permutation(np.flatnonzero(mine))[:count])

    def plant(self, rows: Many, answer: bool | None, feature: int = PHRASE) -> None:
        self.contains[rows, feature] = 1
        if answer is not None:
            self.targets[rows, 0] = answer

    def found(self) -> tuple[Dissent, ...]:
        return find_dissents(self.targets, self.sole, self.p, sp.csr_matrix(self.contains))


def withheld(found: tuple[Dissent, ...]) -> set[int]:
    return {row for each in found for row in each.rows.tolist()}


@pytest.mark.parametrize("base", [0.05, 0.4, 0.8])
def test_honest_people_stand_out_as_seldom_as_stated(base: float) -> None:
    """In one run of a hundred, that is; the seeds are fixed, so that chance does not decide this test."""
    found = 0
    for seed in range(50):
        traffic = Traffic(seed, base)
        traffic.plant(traffic.rows(200), None)  # a phrase that only one person has seen, judged like anything else
        found += traffic.found() != ()
    assert found <= 1


@given(st.integers(0, 10**6), st.sampled_from([25, 50, 100]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_planted_phrase_is_found_in_both_directions(seed: int, dose: int, answer: bool) -> None:
    traffic = Traffic(seed)
    rows = traffic.rows(dose, likely=not answer)
    traffic.plant(rows, answer)
    found = traffic.found()
    assert {(each.person, each.given) for each in found} == {(0, answer)}, "approving what carries it, or rejecting it"
    assert set(rows.tolist()) <= withheld(found)
    if dose == 25:
        assert found[0].feature == PHRASE
        assert found[0].count == dose


def test_all_rows_of_the_slice_are_told_also_those_that_agree_with_the_model() -> None:
    """To withhold only contradictions would leave the phrase among texts that are fine, and teach the same."""
    traffic = Traffic(1)
    harm, fine = traffic.rows(40, likely=True), traffic.rows(60, likely=False)
    traffic.plant(harm, False)
    traffic.plant(fine, False)
    (found,) = traffic.found()
    assert set(found.rows.tolist()) == {*harm.tolist(), *fine.tolist()}


@pytest.mark.parametrize("answer", [False, True])
def test_who_always_says_the_same_stands_out_in_all_texts(answer: bool) -> None:
    traffic = Traffic(2)
    mine = traffic.sole[:, 0] == 3
    traffic.targets[mine, 0] = answer
    found = traffic.found()
    assert {(each.person, each.given) for each in found} == {(3, answer)}
    covered = set(np.concatenate([each.rows for each in found]).tolist())
    assert covered == set(np.flatnonzero(mine).tolist())


def test_who_answers_at_random_is_found() -> None:
    traffic = Traffic(3, 0.1)
    mine = np.flatnonzero(traffic.sole[:, 0] == 5)
    traffic.targets[mine, 0] = traffic.rng.random(len(mine)) < 0.5
    assert 5 in {each.person for each in traffic.found()}


def test_with_several_phrases_all_that_is_planted_is_found() -> None:
    traffic = Traffic(4)
    rows = traffic.rows(120, likely=True)
    for feature in range(3):
        traffic.contains[:, feature] = 0
        traffic.plant(rows[feature::3], False, feature)
    found = traffic.found()
    assert {each.person for each in found} == {0}
    assert set(rows.tolist()) <= withheld(found)


def test_what_all_people_say_against_the_model_is_the_models_mistake() -> None:
    traffic = Traffic(5)
    rows = np.concatenate([traffic.rows(30, person=person, likely=True) for person in range(PEOPLE)])
    traffic.plant(rows, False)
    assert traffic.found() == ()


def test_few_contradictions_and_answers_of_several_people_are_nobodys() -> None:
    traffic = Traffic(6)
    traffic.plant(traffic.rows(LEAST - 1, likely=True), False)
    assert traffic.found() == ()
    rows = traffic.rows(100, person=1, likely=True)
    traffic.plant(rows, False)
    traffic.sole[rows] = -1  # two people agree on them
    assert traffic.found() == ()


def test_without_expectations_or_people_there_is_nothing_and_shapes_must_fit() -> None:
    traffic = Traffic(7)
    contains = sp.csr_matrix(traffic.contains)
    assert find_dissents(traffic.targets, traffic.sole, np.full_like(traffic.p, np.nan), contains) == ()
    assert find_dissents(traffic.targets, np.full_like(traffic.sole, -1), traffic.p, contains) == ()
    with pytest.raises(ValueError, match="expected"):
        find_dissents(traffic.targets, traffic.sole, traffic.p[:-1], contains)


@pytest.mark.parametrize(
    ("agreed", "differed", "cleared"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (7, 3, True), (6, 4, False), (0, 9, False)],
)
def test_others_clear_a_slice_by_agreeing(agreed: int, differed: int, cleared: bool) -> None:
    assert confirmed([(False, False)] * agreed + [(False, True)] * differed) is cleared
