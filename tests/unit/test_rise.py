"""That harm has risen is noticed soon, and hardly ever when it has not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from secondlook.common.bundle.classifier import Floats
from secondlook.trainer.noticing.rise import LAG, LEAST, Expectation, HarmDetector
from secondlook.trainer.noticing.topics import FIRST, TOPICS, Topics, centres

DIM = 16


def about(topics: NDArray[np.int64], spread: float, chance: np.random.Generator) -> Floats:
    """Embeddings float32[n, DIM], L2 norm 1, around the axes that the topics name."""
    rows = np.eye(DIM)[topics] + spread * chance.normal(size=(len(topics), DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def noticed(
    n: int,
    seed: int,
    *,
    change: int | None = None,
    share: float = 0.2,
    biased: float = 1.0,
    topics: bool = True,
    uneven: float = 0.0,
    reported: float = 0.0,
) -> int | None:
    """After how many items harm is noticed: scores that say little or much, harmful as they say times a factor, and
    from `change` on a share of new harm, all about one thing, that scores hardly show. `uneven`: how much more harmful
    one topic is than its scores say, and the next less, from the beginning. `reported`: the share of the new harm that
    users report, while they report 2 % of everything else.
    """
    rng = np.random.default_rng(seed)
    scores, subjects = rng.beta(0.4, 2, n), rng.integers(0, 5, n)
    factor = biased * (1 + uneven * ((subjects == 0).astype(float) - (subjects == 1)))
    harmful = rng.random(n) < np.clip(scores * factor, 0, 1)
    if change is not None:
        new = (np.arange(n) >= change) & (rng.random(n) < share)
        scores, harmful = np.where(new, rng.beta(1, 4, n), scores), harmful | new
        subjects = np.where(new, 3, subjects)
    reports = rng.random(n) < (np.where(new, reported, 0.02) if change is not None and reported else 0.0)
    embeddings = about(subjects, 0.15, rng)
    detector = HarmDetector()
    for i in range(n):
        about_it = embeddings[i] if topics else None
        if detector.add(float(scores[i]), bool(harmful[i]), about_it, reported=bool(reports[i])):
            return i
    return None


@pytest.mark.parametrize("topics", [True, False])
@pytest.mark.parametrize("uneven", [0.0, 0.6], ids=["even", "uneven topics"])
@pytest.mark.parametrize("biased", [0.5, 1.0, 1.4], ids=["fewer than it says", "as it says", "more than it says"])
def test_where_nothing_changes_nothing_is_noticed(biased: float, uneven: float, topics: bool) -> None:
    """Whatever the model gets wrong, people have found it so from the beginning."""
    found = [noticed(1_500, seed, biased=biased, uneven=uneven, topics=topics) for seed in range(60)]
    assert sum(at is not None for at in found) <= 60 * 0.1 + 3, "5 % in 1,000 items, and a little more"


@pytest.mark.parametrize("topics", [True, False])
@pytest.mark.parametrize(("share", "within"), [(0.2, 400), (0.4, 200)])
def test_new_harm_is_noticed_soon_whenever_it_begins(share: float, within: int, topics: bool) -> None:
    for change in (600, 2_000):
        found = [noticed(change + within, seed, change=change, share=share, topics=topics) for seed in range(25)]
        assert sum(at is not None and at >= change for at in found) >= 22


def test_topics_notice_what_is_too_rare_to_show_overall() -> None:
    def soon(topics: bool) -> int:
        found = [noticed(3_000, seed, change=2_000, share=0.08, topics=topics) for seed in range(25)]
        return sum(at is not None and at >= 2_000 for at in found)

    assert soon(True) >= 20
    assert soon(True) >= 2 * soon(False)


def test_what_users_report_shows_new_harm_sooner() -> None:
    def soon(reported: float) -> int:
        found = [noticed(3_000, seed, change=2_000, share=0.04, reported=reported) for seed in range(25)]
        return sum(at is not None and at >= 2_000 for at in found)

    assert soon(0.8) >= 16
    assert soon(0.8) >= 2 * soon(0.0)


def test_topics_are_those_of_the_first_items_and_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    rows = about(rng.integers(0, TOPICS, FIRST), 0.1, rng)
    topics = Topics()
    assert [topics.of(row) for row in rows] == [None] * FIRST
    axes = {topics.of(row) for row in np.eye(DIM, dtype=np.float32)[:TOPICS]}
    assert axes == set(range(TOPICS))
    assert topics.of(np.ones(DIM + 1, np.float32)) is None, "another encoder's"
    assert np.array_equal(centres(rows), centres(rows))
    assert np.isfinite(centres(np.zeros((TOPICS, DIM), np.float32))).all(), "whatever comes"


def test_nothing_is_expected_before_enough_was_seen_and_the_newest_items_expect_nothing() -> None:
    expectation, place = Expectation(), (0, 2)
    assert [expectation.add(place, False) for _ in range(LEAST)] == [None] * LEAST
    quiet = expectation.add(place, False)
    assert quiet is not None
    for _ in range(LAG - 1):
        expectation.add(place, True)
    after = expectation.add(place, True)
    assert after is not None
    assert after <= quiet, "a rise does not excuse itself while it is new"


def test_after_a_notice_it_begins_anew() -> None:
    detector = HarmDetector()
    for _ in range(LEAST + LAG):
        assert not detector.add(0.05, False)
    assert [detector.add(0.05, True) for _ in range(20)].count(True) >= 1
    fresh = HarmDetector()
    for _ in range(LEAST + LAG):
        fresh.add(0.05, False)
    while not fresh.add(0.05, True):
        pass
    assert (fresh.items, fresh.overall.statistic, fresh.by_topic) == (0, 0.0, {})
    assert not fresh.add(0.05, False)
