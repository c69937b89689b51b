from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from secondlook.common.bundle.classifier import Classifier, Encoder, Isotonic, Platt
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.text.scope import Scope
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.model.fit import Fitted
from tests.unit.conftest import LABELS, SPEC, Sentences

ODD = [
    "",
    " \n\t ",
    "👍🏽👩\u200d👩\u200d👧",
    "\u200b\u200d\ufeff",
    "\u202e\u05e9\u05dc\u05d5\u05dd مرحبا",
    "\ud800 lone",
    "\x00\x01",
    "z" * 20_000,
]


def test_odd_texts_get_probabilities_and_unit_embeddings(classifier: Classifier) -> None:
    prediction = classifier.classify(ODD)
    assert prediction.scores.shape == (len(ODD), 2)
    assert prediction.scores.dtype == prediction.embeddings.dtype == np.float32
    assert np.all((prediction.scores >= 0) & (prediction.scores <= 1))
    assert np.linalg.norm(prediction.embeddings, axis=1) == pytest.approx(np.ones(len(ODD)), abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(), max_size=60), min_size=1, max_size=4))
def test_every_str_gets_probabilities(classifier: Classifier, texts: list[str]) -> None:
    scores = classifier.predict(texts)
    assert np.all((scores >= 0) & (scores <= 1))


def test_no_texts_give_no_rows(classifier: Classifier) -> None:
    prediction = classifier.classify([])
    assert prediction.scores.shape == (0, 2)
    assert prediction.embeddings.shape == (0, 384)


def test_it_tells_the_labels_apart(classifier: Classifier) -> None:
    assert classifier.labels == LABELS
    advert, question = classifier.predict(["Buy now and save on a new sofa", "Where can I find the station?"])
    assert advert[0] > 0.7 > 0.3 > question[0]
    assert question[1] > 0.7 > 0.3 > advert[1]


def test_results_keep_the_order_of_the_texts_and_not_their_company(classifier: Classifier) -> None:
    texts = ["long " * 200, "a", "middle sized sentence here", "b " * 40] * 12
    together = classifier.predict(texts)
    alone = np.concatenate([classifier.predict([text]) for text in texts[:4]])
    assert np.abs(together - np.tile(alone, (12, 1))).max() < 1e-4


def test_progress_hears_how_many_are_done(encoder: Encoder) -> None:
    heard: list[int] = []
    encoder.encode(["some text"] * 70, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 70


def test_it_may_be_called_from_several_threads(classifier: Classifier, sentences: Sentences) -> None:
    expected = classifier.predict(sentences.texts)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(classifier.predict, [sentences.texts] * 8):
            assert np.abs(scores - expected).max() < 1e-5


def test_a_text_is_read_up_to_max_tokens(exported: ExportedEncoder) -> None:
    short = Encoder(exported.onnx, exported.tokenizer, max_tokens=8)
    first, second = short.encode(["one two three four five six seven eight", "one two three four five six gone away"])
    assert np.array_equal(first, second)


def test_a_prediction_says_which_texts_were_read_to_their_end(classifier: Classifier) -> None:
    texts = ["short", "word " * 254, "word " * 255, "z" * 20_000, ""]
    assert classifier.classify(texts).scopes.tolist() == [
        Scope.FITS, Scope.FITS, Scope.LONG, Scope.FITS, Scope.BLANK,
    ]  # fmt: skip


def test_parts_that_do_not_fit_are_refused(encoder: Encoder, fitted: Fitted) -> None:
    head = fitted.head
    with pytest.raises(ValueError, match="n-grams"):
        Classifier(encoder, head, fitted.calibration, FeatureSpec(bits=10))
    with pytest.raises(ValueError, match="calibration"):
        Classifier(encoder, head, {"advert": Platt(slope=1, intercept=0)}, SPEC)
    with pytest.raises(ValueError, match="embeddings"):
        Classifier(encoder, replace(head, embedding=head.embedding[:5].copy()), fitted.calibration, SPEC)
    with pytest.raises(ValueError, match="not finite"):
        replace(head, bias=np.array([0, np.nan], np.float32))
    with pytest.raises(ValueError, match="ngrams"):
        replace(head, ngrams=head.ngrams[:, :1].copy())


def test_files_that_are_something_else_are_named(tmp_path: Path, exported: ExportedEncoder) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"other\.bin is no ONNX encoder"):
        Encoder(other, exported.tokenizer)
    with pytest.raises(ValueError, match=r"other\.bin is no tokenizer"):
        Encoder(exported.onnx, other)


def test_features_computed_before_give_the_same_scores(classifier: Classifier, sentences: Sentences) -> None:
    embeddings = classifier.encoder.encode(sentences.texts)
    scores = classifier.score(embeddings, ngrams(sentences.texts, SPEC))
    assert np.array_equal(scores, classifier.predict(sentences.texts))


def test_a_prediction_is_immutable(classifier: Classifier) -> None:
    with pytest.raises(FrozenInstanceError):
        classifier.classify(["a"]).scores = np.zeros((1, 2), np.float32)  # type: ignore[misc]


def test_isotonic_interpolates_between_knots_and_is_flat_outside() -> None:
    curve = Isotonic(logits=(-1, 1), probabilities=(0.2, 0.6))
    assert curve.apply(np.array([-9, -1, 0, 1, 9])) == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6])


@pytest.mark.parametrize(
    "knots",
    [((0, 1), (0.5,)), ((1, 0), (0.1, 0.2)), ((0, 1), (0.2, 0.1)), ((), ()), ((0,), (1.5,)), ((float("nan"),), (0.5,))],
)
def test_knots_that_are_no_curve_are_refused(knots: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        Isotonic(logits=knots[0], probabilities=knots[1])
