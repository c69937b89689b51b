"""A file that people declared to be a uniform sample: used unless the traffic contradicts it."""

import numpy as np
import pytest

from secondlook.trainer.evidence.declared import FEWEST, check_declared
from secondlook.trainer.evidence.sample import Sample, Witnesses, plain_sample


def sample(n: int, declared: int, *, harm: float = 0.2, declared_harm: float = 0.2, shift: float = 0.0) -> Sample:
    """n items of traffic and so many declared ones, each harmful with its own chance, scored alike but for a shift."""
    rng = np.random.default_rng(n + declared)
    harmful = np.concatenate([rng.random(declared) < declared_harm, rng.random(n) < harm])
    scores = np.clip(np.where(harmful, 0.8, 0.2) + rng.normal(0, 0.1, n + declared), 0, 1)
    scores[:declared] = np.clip(scores[:declared] + shift, 0, 1)
    sole = np.zeros((n + declared, 1), np.int64)
    return plain_sample(
        ("spam",), scores[:, None], harmful.astype(float)[:, None], declared=np.arange(n + declared) < declared,
        people=Witnesses(sole, np.full(sole.shape, np.nan)),
    )  # fmt: skip


@pytest.mark.parametrize(("n", "declared"), [(0, 500), (FEWEST - 1, 500), (500, FEWEST - 1), (1_000, 1_000)])
def test_what_nothing_contradicts_is_used(n: int, declared: int) -> None:
    found = sample(n, declared)
    assert check_declared(found) == (found, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"shift": 0.2}, "scores for spam differ"), ({"declared_harm": 0.02}, "scores for spam differ")],
)
def test_what_the_traffic_contradicts_is_said_and_not_used(changes: dict[str, float], words: str) -> None:
    kept, why = check_declared(sample(600, 400, **changes))
    assert why is not None
    assert words in why
    assert len(kept) == 600
    assert not kept.declared.any()
    assert kept.people is not None
    assert len(kept.people.sole) == len(kept.versions[0]) == 600


def test_answers_that_contradict_at_the_same_scores_are_found_too() -> None:
    found = sample(600, 400)
    found.targets[:400] = 0
    _, why = check_declared(found)
    assert why is not None
    assert "spam is in 0.0% and" in why


def test_honest_declarations_are_hardly_ever_refused() -> None:
    refused = sum(check_declared(sample(300 + seed, 300))[1] is not None for seed in range(300))
    assert refused <= 1
