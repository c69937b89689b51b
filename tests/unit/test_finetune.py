"""Fine-tuning without torch: what a step sees, how two logits are weighed, and when it is not done."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from secondlook.common.errors import ConfigurationError
from secondlook.trainer.model import tuning
from secondlook.trainer.model.finetune import mixture
from secondlook.trainer.model.recipe import Recipe, batches
from secondlook.trainer.model.tuning import tune


@given(st.lists(st.integers(1, 128), max_size=300), st.integers(1, 40), st.integers(0, 3))
def test_an_epoch_sees_every_text_once_and_always_in_the_same_order(lengths: list[int], batch: int, epoch: int) -> None:
    recipe = Recipe(batch=batch)
    steps = list(batches(lengths, recipe, epoch))
    assert len(steps) == -(-len(lengths) // batch)
    assert all(1 <= len(rows) <= batch for rows in steps)
    assert sorted(row for rows in steps for row in rows) == list(range(len(lengths)))
    again = list(batches(lengths, recipe, epoch))
    assert all(np.array_equal(one, other) for one, other in zip(steps, again, strict=True))


def test_epochs_differ_and_a_batch_holds_texts_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1000).tolist()
    first, second = (list(batches(lengths, Recipe(), epoch)) for epoch in (0, 1))
    assert not all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    spread = np.mean([max(lengths[i] for i in rows) - min(lengths[i] for i in rows) for rows in first])
    assert spread < 10, "of 99: padding is little"


def some_world(seed: int, n: int = 3_000) -> tuple[np.ndarray, np.ndarray, sp.csr_matrix]:
    """Targets that depend on an embedding and on one n-gram, both equally."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(n, 4)).astype(np.float32)
    words = rng.integers(0, 2, (n, 3)).astype(np.float32)
    logit = 2 * embeddings[:, 0] + 4 * (words[:, 0] - 0.5)
    return (rng.random(n) < expit(logit)).astype(float)[:, None], embeddings, sp.csr_matrix(words)


def test_a_mixture_is_better_than_each_of_its_parts_and_ignores_one_that_says_nothing() -> None:
    targets, embeddings, words = some_world(0)
    fitting = np.arange(len(targets)) < 2_000
    held = np.arange(len(targets)) >= 2_000
    good = np.array([[40.0], [0], [0], [0]], np.float32), np.zeros(1, np.float32)  # right, and far too sure

    def loss(layer: tuple[np.ndarray, np.ndarray], features: sp.csr_matrix) -> float:
        head = mixture(("spam",), targets, embeddings, features, layer, fitting, held)
        fresh_targets, fresh_embeddings, fresh_words = some_world(1)
        p = expit(head.logits(fresh_embeddings, fresh_words.multiply(features.sum(0) > 0).tocsr()))
        return -float(np.mean(fresh_targets * np.log(p) + (1 - fresh_targets) * np.log1p(-p)))

    silent = sp.csr_matrix(words.shape, dtype=np.float32)
    wrong = -good[0], good[1]  # says the opposite
    together = loss(good, words)
    assert together < loss(good, silent) - 0.02
    assert together < loss(wrong, words) - 0.02
    head = mixture(("spam",), targets, embeddings, words, wrong, fitting, held)
    assert not head.embedding.any(), "what says the opposite gets no negative weight, but none"


def test_a_label_that_only_some_rows_know_is_weighed_on_those() -> None:
    targets, embeddings, words = some_world(0)
    part = np.full((len(targets), 1), np.nan)
    part[::3] = targets[::3]
    both = np.hstack([targets, part])
    fitting = np.arange(len(targets)) % 4 > 0
    layer = np.repeat(np.array([[2.0], [0], [0], [0]], np.float32), 2, axis=1), np.zeros(2, np.float32)
    head = mixture(("all", "some"), both, embeddings, words, layer, fitting, ~fitting)
    alone = mixture(("some",), part, embeddings, words, (layer[0][:, :1], layer[1][:1]), fitting, ~fitting)
    np.testing.assert_allclose(head.embedding[:, 1:], alone.embedding, rtol=1e-5)
    np.testing.assert_allclose(head.bias[1:], alone.bias, rtol=1e-5)


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "EXTRA", ("torch_that_is_not_there",))
    start = np.zeros((4, 1), np.float32), np.zeros(1, np.float32)
    with pytest.raises(ConfigurationError, match=r"torch_that_is_not_there .*make setup-finetune"):
        tune(tmp_path, "small", ["a"], np.ones((1, 1)), start, Recipe(), tmp_path / "cache", lambda words: None)
    assert not (tmp_path / "cache").exists()
