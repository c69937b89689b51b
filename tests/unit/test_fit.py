import json
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, logit

from secondlook.common.bundle.classifier import Classifier, Isotonic, Platt
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.errors import TrainingRefused
from secondlook.trainer.model.calibrate import calibrate, fit_isotonic, fit_platt
from secondlook.trainer.model.evaluate import evaluate, expected_calibration_error
from secondlook.trainer.model.fit import MIN_EACH, Fitted, fit_head, shortages
from tests.unit.conftest import LABELS, SPEC, Sentences

Array = NDArray[Any]


def problem(n: int, seed: int = 0) -> tuple[Array, sp.csr_matrix, Array]:
    """Random unit embeddings, a few random n-grams, and a noisy label that depends on the first coordinates."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(n, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    features = sp.random(n, 64, density=0.1, format="csr", dtype=np.float32, random_state=seed)
    targets = (rng.random(n) < expit(6 * embeddings[:, 0] - 1)).astype(float)
    return embeddings, features, targets[:, None]


def test_unknown_targets_take_no_part(classifier: Classifier, sentences: Sentences, fitted: Fitted) -> None:
    assert np.array_equal(np.isnan(fitted.out_of_fold), np.isnan(sentences.targets))
    embeddings = classifier.encoder.encode(sentences.texts)
    known = ~np.isnan(sentences.targets[:, 0])
    chosen = [text for text, keep in zip(sentences.texts, known, strict=True) if keep]
    alone = fit_head(LABELS[:1], sentences.targets[known, :1], embeddings[known], ngrams(chosen, SPEC))
    assert np.allclose(alone.head.embedding[:, 0], fitted.head.embedding[:, 0], atol=1e-5)
    assert alone.calibration["advert"] == fitted.calibration["advert"]


def test_the_seed_fixes_the_result() -> None:
    embeddings, features, targets = problem(200)
    first, second = (fit_head(["a"], targets, embeddings, features, seed=4) for _ in range(2))
    assert np.array_equal(first.head.embedding, second.head.embedding)
    assert first.calibration == second.calibration


def test_it_learns_and_is_calibrated_on_rows_it_has_not_seen() -> None:
    embeddings, features, targets = problem(3000)
    fitted = fit_head(["a"], targets[:2000], embeddings[:2000], features[:2000])
    logits = fitted.head.logits(embeddings[2000:], features[2000:])
    metrics = evaluate(["a"], fitted.calibration["a"].apply(logits), targets[2000:])["a"]
    assert metrics.auroc is not None
    assert metrics.auroc > 0.75
    assert metrics.ece is not None
    assert metrics.ece < 0.06


def test_out_of_fold_logits_know_nothing_about_random_labels() -> None:
    embeddings, features, _ = problem(400)
    targets = np.random.default_rng(1).integers(0, 2, (400, 1)).astype(float)
    fitted = fit_head(["a"], targets, embeddings, features)
    auroc = evaluate(["a"], expit(fitted.out_of_fold), targets)["a"].auroc
    assert auroc is not None
    assert auroc < 0.6
    scores = fitted.calibration["a"].apply(fitted.head.logits(embeddings, features))
    assert np.abs(scores - 0.5).max() < 0.25  # the head has learnt its rows by heart, the calibration has not


def test_weights_count_rows_more() -> None:
    embeddings, features, targets = problem(300)
    flipped = np.vstack([targets, 1 - targets])
    twice, both = np.vstack([embeddings, embeddings]), sp.csr_matrix(sp.vstack([features, features]))
    weights = np.concatenate([np.full(300, 10.0), np.full(300, 0.01)])
    trusted = fit_head(["a"], flipped, twice, both, weights).head
    plain = fit_head(["a"], targets, embeddings, features).head
    directions = trusted.embedding[:, 0], plain.embedding[:, 0]
    assert np.corrcoef(*directions)[0, 1] > 0.9


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_only_the_ratio_of_weights_matters(scale: float) -> None:
    embeddings, features, targets = problem(100)
    one, other = (fit_head(["a"], targets, embeddings, features, np.full(100, w)).head for w in (1.0, scale))
    assert np.allclose(one.embedding, other.embedding, atol=1e-4)


def test_too_few_labels_are_refused_with_their_counts() -> None:
    embeddings, features, targets = problem(60)
    rare = np.zeros((60, 1))
    rare[: MIN_EACH - 1] = 1
    unknown = np.full((60, 1), np.nan)
    with pytest.raises(
        TrainingRefused, match=r"label rare: 7 positives and 53 negatives.*label none: 0 positives and 0"
    ):
        fit_head(["fine", "rare", "none"], np.hstack([targets, rare, unknown]), embeddings, features)
    assert set(shortages(["fine", "rare", "none"], np.hstack([targets, rare, unknown]))) == {"rare", "none"}
    with pytest.raises(TrainingRefused, match="nothing to train on"):
        fit_head(["a"], np.empty((0, 1)), embeddings[:0], features[:0])


@pytest.mark.parametrize("bad", [0.5, -1.0, 2.0, np.inf])
def test_targets_are_yes_no_or_unknown(bad: float) -> None:
    embeddings, features, targets = problem(60)
    targets[3] = bad
    with pytest.raises(ValueError, match="targets are"):
        fit_head(["a"], targets, embeddings, features)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_weights_are_positive(bad: float) -> None:
    embeddings, features, targets = problem(60)
    with pytest.raises(ValueError, match="weights are"):
        fit_head(["a"], targets, embeddings, features, np.array([bad] + [1.0] * 59))


def test_platt_finds_the_curve_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(3, 2, 20_000)
    targets = (rng.random(20_000) < expit(0.7 * logits - 2)).astype(float)
    platt = fit_platt(logits, targets, np.ones(20_000))
    assert platt.slope == pytest.approx(0.7, abs=0.05)
    assert platt.intercept == pytest.approx(-2, abs=0.15)


@pytest.mark.parametrize("seed", range(8))
def test_platt_is_the_most_likely_curve_for_smoothed_targets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, weights = rng.normal(rng.normal(0, 3), rng.uniform(0.1, 5), 400), rng.uniform(0.2, 3, 400)
    targets = (rng.random(400) < expit(logits - logits.mean())).astype(float)
    positive, negative = weights @ targets, weights @ (1 - targets)
    smoothed = np.where(targets == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    errors = weights * (fit_platt(logits, targets, weights).apply(logits) - smoothed)
    assert errors.sum() == pytest.approx(0, abs=1e-5)
    assert errors @ (logits - logits.mean()) / logits.std() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "logits", [np.r_[np.zeros(8), np.ones(8)], np.r_[np.ones(8), np.zeros(8)], np.zeros(16), 1e6 * np.arange(16)]
)
def test_platt_survives_perfect_turned_and_constant_logits(logits: Array) -> None:
    platt = fit_platt(np.asarray(logits, float), np.r_[np.zeros(8), np.ones(8)], np.ones(16))
    scores = platt.apply(logits)
    assert platt.slope > 0
    assert np.all((scores >= 0) & (scores <= 1))


def test_isotonic_is_chosen_only_where_enough_data_favours_it() -> None:
    rng = np.random.default_rng(0)
    logits = rng.uniform(-4, 4, 6000)
    straight = (rng.random(6000) < expit(logits)).astype(float)
    steps = (rng.random(6000) < np.where(logits < -2, 0.02, np.where(logits < 2, 0.5, 0.6))).astype(float)
    assert isinstance(calibrate(logits, straight), Platt)
    assert isinstance(calibrate(logits[:1000], steps[:1000]), Platt)
    chosen = calibrate(logits, steps)
    assert isinstance(chosen, Isotonic)
    assert Isotonic.model_validate(json.loads(chosen.model_dump_json())) == chosen


def test_isotonic_is_never_certain() -> None:
    logits, targets = np.arange(100.0), (np.arange(100) > 50).astype(float)
    scores = fit_isotonic(logits, targets, np.ones(100)).apply(np.array([-1e9, 1e9]))
    assert np.all(np.isfinite(logit(scores)))


def test_metrics_without_one_class_or_without_rows_are_none() -> None:
    scores = np.array([[0.2, 0.9, 0.5], [0.4, 0.8, 0.5]])
    targets = np.array([[0, np.nan, 1], [1, np.nan, 1]])
    found = evaluate(["both", "none", "one"], scores, targets)
    assert found["none"] == LabelMetrics(n=0, positives=0)
    assert (found["one"].auroc, found["one"].auprc) == (None, None)
    assert found["one"].log_loss == pytest.approx(np.log(2))
    assert found["both"].auroc == 1
    assert LabelMetrics.model_validate_json(found["one"].model_dump_json()) == found["one"]


def test_calibration_error_is_the_distance_of_score_and_frequency() -> None:
    assert expected_calibration_error(np.full(100, 0.3), np.r_[np.ones(10), np.zeros(90)]) == pytest.approx(0.2)
    scores = np.repeat([0.1, 0.9], 50)
    assert expected_calibration_error(scores, np.r_[np.zeros(50), np.ones(50)]) == pytest.approx(0.1)
    assert expected_calibration_error(scores, np.r_[np.ones(50), np.zeros(50)]) == pytest.approx(0.9)
    assert expected_calibration_error(np.ones(10), np.zeros(10)) == 1
    assert expected_calibration_error(np.array([0.25]), np.array([0.0])) == pytest.approx(0.25)
