"""What a model was made for. The profile is one of mild English sentences."""

from dataclasses import replace

import numpy as np
import pytest

from bench.disguises import DISGUISES
from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.novelty import Novelty, look
from secondlook.common.text.scope import Scope
from secondlook.trainer.model.fit import Fitted
from secondlook.trainer.model.profile import profile_of
from tests.unit.conftest import SPEC, Sentences


@pytest.fixture(scope="session")
def novelty(encoder: Encoder, sentences: Sentences) -> Novelty:
    return profile_of(sentences.texts, encoder.encode(sentences.texts), encoder)


@pytest.fixture(scope="session")
def aware(encoder: Encoder, fitted: Fitted, novelty: Novelty) -> Classifier:
    spec = SPEC.model_copy(update={"version": 2})
    return Classifier(encoder, fitted.head, fitted.calibration, spec, novelty)


@pytest.mark.parametrize(("text", "scope"), [
    ("", Scope.BLANK), ("\u200b \u2800", Scope.BLANK), ("\U000e0041", Scope.BLANK),
    ("buy a l\u0430mp", Scope.MIXED_SCRIPTS), ("good \u0440rice", Scope.MIXED_SCRIPTS),
    ("did you see a lamp", Scope.FITS), ("\u043f\u0440\u0438\u0432\u0435\u0442", Scope.FITS),
])  # fmt: skip
def test_without_a_profile_only_the_rules_that_need_none_hold(text: str, scope: Scope) -> None:
    assert look(text, None) == (scope, "")


@pytest.mark.parametrize(("text", "scope", "detail"), [
    ("Did you see our garden chairs?", Scope.FITS, ""),
    ("\u044f \u0442\u0435\u0431\u044f \u043d\u0430\u0439\u0434\u0443", Scope.SCRIPT, "cyrillic"),
    ("\u0e09\u0e31\u0e19\u0e08\u0e30\u0e2b\u0e32\u0e04\u0e38\u0e13", Scope.SCRIPT, "thai"),
    ("\u0633\u0623\u062c\u062f\u0643", Scope.SCRIPT, "arabic"),
    ("\u0430\u0441\u0435 and \u043e\u0440", Scope.SCRIPT, "cyrillic"),
    ("\u4f60", Scope.SCRIPT, "cjk"),
    ("m y  n e i g h b o u r  l i k e s  b r e a d", Scope.DISGUISED, ""),
    ("m.y n.e.i.g.h.b.o.u.r l.i.k.e.s b.r.e.a.d", Scope.DISGUISED, ""),
    ("Ich werde dich finden und dann wirst du es bereuen", Scope.LANGUAGE, "de"),
    ("Je vais te retrouver et tu vas le regretter toute ta vie", Scope.LANGUAGE, "fr"),
    ("Ich bringe dich um", Scope.LANGUAGE, "de"), ("Vado a ucciderti", Scope.LANGUAGE, "es"),
    ("Seni bulaca\u011f\u0131m ve buna \u00e7ok pi\u015fman olacaks\u0131n", Scope.LANGUAGE, "tr"),
    ("Znajd\u0119 ci\u0119 i b\u0119dziesz tego \u017ca\u0142owa\u0142 do ko\u0144ca \u017cycia", Scope.LANGUAGE, "pl"),
])  # fmt: skip
def test_a_text_tells_what_training_never_showed(aware: Classifier, text: str, scope: Scope, detail: str) -> None:
    found = aware.classify([text])
    assert (Scope(int(found.scopes[0])), found.details[0]) == (scope, detail)


@pytest.mark.parametrize("text", [
    "My neighbour likes fresh bread \U0001f44d", "\u00af\\_(\u30c4)_/\u00af fresh bread", "5 \u03bcm of bread",
    "\U0001f44d",
])  # fmt: skip
def test_a_sign_or_two_of_another_script_is_decoration(novelty: Novelty, text: str) -> None:
    assert look(text, novelty) == (Scope.FITS, "")


def test_what_was_learned_from_is_in_scope(aware: Classifier, sentences: Sentences) -> None:
    assert np.mean(aware.classify(sentences.texts).scopes == Scope.FITS) >= 0.95


def test_a_language_among_padding_is_seen(aware: Classifier) -> None:
    padding = "My neighbour likes the blue bicycle. Did you see our garden chairs? I carried home fresh bread. "
    text = f"{padding}Ich werde dich finden und dann wirst du es bereuen. {padding}"
    found = aware.classify([text, padding])
    assert (Scope(int(found.scopes[0])), found.details[0]) == (Scope.LANGUAGE, "de")


def test_nothing_hides_behind_blanks_that_make_no_windows(aware: Classifier) -> None:
    hidden = f"My neighbour likes fresh bread.{' ' * 30_000}\u4f60\u53bb\u6b7b"
    assert aware.classify([hidden]).scopes.tolist() == [Scope.LONG]
    assert aware.classify([hidden.replace(" " * 30_000, " " * 300)]).scopes.tolist() == [Scope.SCRIPT]


def test_tokens_and_subjects_that_training_never_showed_are_seen(encoder: Encoder, novelty: Novelty) -> None:
    known, other = encoder.tokenize(["My neighbour likes fresh bread.", "zxqv jkwp vbnq ghtz qqzx"]).ids
    assert novelty.unknown(known) <= novelty.profile.unknown < novelty.unknown(other)
    near, far = novelty.distance(encoder.encode(["My neighbour likes fresh bread.", "0x3f 0b11 ptr->next = NULL;"]))
    assert near <= novelty.profile.distance < far


def test_all_readings_only_ever_raise_a_score(aware: Classifier, classifier: Classifier) -> None:
    plain = ("Half price today: two tickets. Did you see it?", "I carried home a lamp")
    texts = [disguise(text) for disguise in DISGUISES.values() for text in plain]
    now, before = aware.predict(texts), classifier.predict(texts)
    assert np.all(now >= before - 1e-6)
    assert np.any(now > before + 0.1)


def test_a_long_text_is_read_to_its_end_if_its_windows_reach_it(aware: Classifier, classifier: Classifier) -> None:
    text = "My neighbour likes the blue bicycle. Did you see our garden chairs? " * 14
    assert classifier.classify([text]).scopes.tolist() == [Scope.FITS]
    text += "Yesterday I carried home fresh bread. " * 9
    assert classifier.classify([text]).scopes.tolist() == [Scope.LONG]
    assert aware.classify([text]).scopes.tolist() != [Scope.LONG]
    endless = text * 100
    assert len(endless) > 100_000
    assert aware.classify([endless]).scopes.tolist() == [Scope.LONG]
    hidden = f"{text} Half price today: buy now and save on two tickets. {text}"
    column = aware.labels.index("advert")
    assert aware.predict([hidden])[0, column] > aware.predict([text])[0, column]


def test_scopes_alone_are_those_of_a_prediction(aware: Classifier, sentences: Sentences) -> None:
    texts = [
        *sentences.texts[:10],
        "",
        "Ich werde dich finden und dann wirst du es bereuen",
        "pri\u0441e",
        "word " * 500,
    ]
    found = aware.classify(texts)
    assert aware.scopes(texts).tolist() == found.scopes.tolist()
    assert aware.scopes(texts, found.embeddings).tolist() == found.scopes.tolist()


def test_a_script_is_known_once_enough_texts_have_it(novelty: Novelty) -> None:
    text = "\u044f \u0442\u0435\u0431\u044f \u043d\u0430\u0439\u0434\u0443"
    for count, scope in ((1, Scope.SCRIPT), (40, Scope.FITS)):
        profile = novelty.profile.model_copy(update={
            "scripts": {**novelty.profile.scripts, "cyrillic": count}, "languages": {"en": 40, "ru": 40, "uk": 40},
            "disguised": 1.0,
        })  # fmt: skip
        assert look(text, replace(novelty, profile=profile))[0] is scope


def test_a_profile_must_fit_the_encoder(encoder: Encoder, fitted: Fitted, novelty: Novelty) -> None:
    other = replace(novelty, centres=novelty.centres[:, :5].copy())
    with pytest.raises(ValueError, match="novelty"):
        Classifier(encoder, fitted.head, fitted.calibration, FeatureSpec(bits=12), other)
