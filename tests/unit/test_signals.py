"""What other classifiers said: read strictly, and weighed by the head beside the text."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.store import open_bundle, write_bundle
from secondlook.common.bus.wire import parse
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import MAX_SIGNALS
from secondlook.common.errors import InvalidInput
from secondlook.common.head.signals import COLUMNS, columns, describe_signals, unfamiliar
from secondlook.common.text.scope import Scope
from secondlook.router.identity.hashes import identity_of
from secondlook.trainer.data.splits import cluster_keys, group_keys, stand_in
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.profile import profile_of
from tests.unit.conftest import SPEC, Sentences

CONTENT: dict[str, Any] = {
    "source": "forum", "content_id": "p1", "revision": 1, "text": "hello", "created_at": "2025-06-01T12:00:00Z",
}  # fmt: skip


def read(**more: Any) -> ContentSubmitted:
    return parse(ContentSubmitted, json.dumps({**CONTENT, **more}).encode())


def problems(body: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        parse(ContentSubmitted, body)
    return [(problem.field, problem.problem) for problem in refused.value.problems]


def test_signals_are_names_and_shares() -> None:
    assert read(signals={"vendor.toxicity-2": 0.25, "account_age": 1}).signals == {
        "vendor.toxicity-2": 0.25, "account_age": 1.0,
    }  # fmt: skip
    assert read().signals == {}


@pytest.mark.parametrize(
    "value", ["NaN", "1e400", "-1e400", "Infinity", "-0.001", "1.001", "true", '"0.5"', "null", "[]"]
)
def test_a_value_that_is_no_share_is_refused_by_its_name(value: str) -> None:
    body = json.dumps({**CONTENT, "signals": {"vendor": 0}}).replace('"vendor": 0', f'"vendor": {value}')
    assert [field for field, _ in problems(body.encode())] == ["signals.vendor"]


@pytest.mark.parametrize("name", ["", "Vendor", "1st", "a" * 65, "with space", "a/b", "é", "a\x00"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    found = problems(json.dumps({**CONTENT, "signals": {name: 0.5}}).encode())
    assert found
    assert all(field.startswith("signals") for field, _ in found)


@pytest.mark.parametrize("number", [MAX_SIGNALS + 1, 900, 10_000])
def test_too_many_signals_are_refused_at_once(number: int) -> None:
    body = json.dumps({**CONTENT, "signals": {f"BAD {n}": "x" for n in range(number)}}).encode()
    began = time.perf_counter()
    found = problems(body)
    assert len(found) == 1, "one problem, not one a signal"
    assert time.perf_counter() - began < 0.05


def test_signals_do_not_tell_revisions_apart() -> None:
    assert identity_of(read(signals={"a": 0.1})) == identity_of(read(signals={"b": 0.9})) == identity_of(read())


@pytest.mark.parametrize(
    ("more", "accepted"),
    [
        ({"kind": "image", "context": {"url": "https://x.example/1.png"}}, True),
        ({"kind": "image"}, False),
        ({"kind": "text", "context": {"url": "https://x.example"}}, False),
        ({"context": {"url": "https://x.example"}}, False),
        ({"kind": "profile", "context": {"url": ""}}, False),
        ({"kind": "image", "context": {"title": "a title"}}, False),
    ],
)
def test_only_another_kind_with_a_link_needs_no_text(more: dict[str, Any], accepted: bool) -> None:
    if accepted:
        assert read(text="", **more).text == ""
    else:
        found = problems(json.dumps({**CONTENT, "text": "", **more}).encode())
        assert [field for field, _ in found] == ["text"]


def test_items_without_text_are_nobodys_copies() -> None:
    link = {"kind": "image", "text": "", "context": {"url": "https://x.example"}}
    pictures = [read(content_id=f"img/{n}", **link) for n in range(200)]
    assert len({group_keys(stand_in(each))[0] for each in pictures}) == 200
    assert all(cluster_keys(stand_in(each)) == [] for each in pictures)
    assert stand_in(read()) == "hello"


NAMES = st.sampled_from(["a", "b", "c.d"])
SAID = st.lists(st.dictionaries(NAMES, st.floats(0, 1)), min_size=1, max_size=30)


@given(SAID, SAID)
def test_columns_are_finite_and_missing_ones_look_like_the_median(taught: list[Any], said: list[Any]) -> None:
    features = describe_signals(taught, least=1, share=0)
    found = columns(said, features, len(said))
    assert found.shape == (len(said), COLUMNS * len(features))
    assert np.isfinite(found).all()
    for number, feature in enumerate(features):
        median = columns([{feature.name: feature.median}], features, 1)[0]
        for row, signals in zip(found[:, COLUMNS * number :], said, strict=True):
            assert row[1] == (feature.name not in signals)
            if feature.name not in signals:
                assert row[0] == median[COLUMNS * number]


@given(SAID)
def test_what_training_showed_is_familiar(taught: list[Any]) -> None:
    features = describe_signals(taught, least=1, share=0)
    for signals in taught:
        lacking = {f.name for f in features if f.usual} - signals.keys()
        assert unfamiliar(signals, features) == (min(lacking) if lacking else None)


def test_rare_signals_teach_nothing_and_many_are_cut() -> None:
    said = [{"usual": 0.5, **({"rare": 0.5} if n < 3 else {})} for n in range(100)]
    assert [feature.name for feature in describe_signals(said, least=5, share=0.02)] == ["usual"]
    many = [{f"s{n}": 0.5 for n in range(150)}] * 10
    assert len(describe_signals(many, least=1, share=0)) == MAX_SIGNALS


def test_how_usual_a_signal_is_follows_from_the_traffic_alone() -> None:
    traffic = [{"vendor": n / 100} for n in range(100)]
    imported: list[dict[str, float]] = [{}] * 900
    (seen,) = describe_signals([*imported, *traffic], least=50, share=0.02, traffic=traffic)
    assert seen.usual
    (mixed,) = describe_signals([*imported, *traffic], least=50, share=0.02)
    assert not mixed.usual


@pytest.fixture(scope="module")
def weighing(encoder: Encoder, sentences: Sentences) -> Classifier:
    """A classifier of texts of which a signal tells what the text does not: half of them have none at all."""
    rng = np.random.default_rng(0)
    harmful = rng.random(400) < 0.5
    texts = [sentences.texts[n // 2 % 40] if n % 2 else "" for n in range(400)]
    said = [{"vendor": float(np.clip((0.8 if bad else 0.2) + rng.normal(0, 0.1), 0, 1))} for bad in harmful]
    embeddings, features = encoder.encode(texts), describe_signals(said, 50, 0.02)
    fitted = fit_head(
        ("harm",), harmful[:, None].astype(float), embeddings, ngrams(texts, SPEC),
        signals=columns(said, features, 400),
    )  # fmt: skip
    novelty = profile_of(texts, embeddings, encoder)
    return Classifier(encoder, fitted.head, fitted.calibration, SPEC, novelty, features)


def test_the_head_weighs_a_signal_beside_the_text(weighing: Classifier, sentences: Sentences) -> None:
    texts = [sentences.texts[1], sentences.texts[1], "", ""]
    found = weighing.classify(texts, [{"vendor": 0.85}, {"vendor": 0.15}, {"vendor": 0.85}, {"vendor": 0.15}])
    assert found.scores[[0, 2], 0].min() > 0.9
    assert found.scores[[1, 3], 0].max() < 0.1
    assert found.scopes.tolist() == [Scope.FITS] * 4


@pytest.mark.parametrize(
    ("text", "signals", "scope", "detail"),
    [
        ("Buy now and save on a lamp", {}, Scope.SIGNALS, "vendor"),
        ("Buy now and save on a lamp", {"another": 0.5}, Scope.SIGNALS, "vendor"),
        ("", {}, Scope.BLANK, ""),
        ("", {"another": 0.5}, Scope.BLANK, ""),
        (" ", {"vendor": 0.5}, Scope.BLANK, ""),
    ],
)
def test_what_lacks_a_usual_signal_is_a_persons(
    weighing: Classifier, text: str, signals: dict[str, float], scope: Scope, detail: str
) -> None:
    found = weighing.classify([text], [signals])
    assert (Scope(int(found.scopes[0])), found.details[0]) == (scope, detail)
    assert not scope.approvable
    assert not scope.rejectable


def test_a_long_text_without_a_usual_signal_is_not_even_rejected(weighing: Classifier) -> None:
    assert weighing.novelty is not None
    wide = replace(weighing.novelty, profile=weighing.novelty.profile.model_copy(update={"distance": 2.0}))
    other = Classifier(weighing.encoder, weighing.head, weighing.calibration, SPEC, wide, weighing.signals)
    text = "Buy now and save on a lamp. " * 900
    assert other.classify([text] * 2, [{"vendor": 0.5}, {}]).scopes.tolist() == [Scope.LONG, Scope.SIGNALS]


def test_without_a_profile_of_items_without_text_none_is_decided(
    encoder: Encoder, weighing: Classifier, sentences: Sentences
) -> None:
    texts_only = profile_of(sentences.texts, encoder.encode(sentences.texts), encoder)
    other = Classifier(encoder, weighing.head, weighing.calibration, SPEC, texts_only, weighing.signals)
    assert other.classify([""], [{"vendor": 0.5}]).scopes.tolist() == [Scope.BLANK]


def test_a_value_beyond_those_of_training_is_a_persons(weighing: Classifier, sentences: Sentences) -> None:
    (feature,) = weighing.signals
    narrow = Classifier(
        weighing.encoder, weighing.head, weighing.calibration, SPEC, weighing.novelty,
        (feature.model_copy(update={"lowest": 0.1, "highest": 0.9}),),
    )  # fmt: skip
    said = [{"vendor": value} for value in (0.0, 0.1, 0.9, 1.0)]
    assert narrow.classify([sentences.texts[1]] * 4, said).scopes.tolist() == [
        Scope.SIGNALS, Scope.FITS, Scope.FITS, Scope.SIGNALS,
    ]  # fmt: skip


def test_a_signal_named_like_a_label_is_no_score(encoder: Encoder, sentences: Sentences) -> None:
    """A model that was taught none takes no notice of it, and one that was weighs it as any other."""
    fitted = fit_head(
        ("harm",), sentences.targets[:, 1:], encoder.encode(sentences.texts), ngrams(sentences.texts, SPEC)
    )
    deaf = Classifier(encoder, fitted.head, fitted.calibration, SPEC)
    told, untold = deaf.predict(sentences.texts, [{"harm": 1.0}] * len(sentences.texts)), deaf.predict(sentences.texts)
    assert np.array_equal(told, untold)


@pytest.mark.parametrize("lie", ["constant", "inverse", "noise"])
def test_a_classifier_that_lies_from_the_start_is_seen_through(
    encoder: Encoder, sentences: Sentences, lie: str
) -> None:
    """The opposite of the truth tells as much as the truth, and a constant nothing."""
    rng = np.random.default_rng(1)
    harmful = rng.random(400) < 0.5
    values = {
        "constant": np.full(400, 0.01), "inverse": np.where(harmful, 0.1, 0.9), "noise": rng.random(400),
    }[lie]  # fmt: skip
    said = [{"liar": float(value)} for value in values]
    texts = [sentences.texts[n % 40] for n in range(400)]
    embeddings, words, features = encoder.encode(texts), ngrams(texts, SPEC), describe_signals(said, 50, 0.02)
    head = fit_head(
        ("harm",), harmful[:, None].astype(float), embeddings, words, signals=columns(said, features, 400)
    ).head  # fmt: skip
    weight = float(head.signals[0, 0])
    assert {"constant": abs(weight) < 1e-6, "inverse": weight < -1, "noise": abs(weight) < 0.5}[lie]


def test_a_bundle_keeps_its_signals(
    exported: ExportedEncoder, weighing: Classifier, sentences: Sentences, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    write_bundle(
        folder, bundle_version="b", created_at=datetime.now(UTC), encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer, encoder_name=exported.name, features=SPEC, head=weighing.head,
        calibration=weighing.calibration, metrics={}, data_fingerprint="f", novelty=weighing.novelty,
        signals=weighing.signals,
    )  # fmt: skip
    opened = open_bundle(folder.as_uri(), manifest_sha256(folder), tmp_path / "cache")
    assert opened.manifest.stages[0].signals == weighing.signals
    assert len({tuple(test.signals.items()) for test in opened.manifest.self_test}) == 4, "the self-test hears signals"
    texts, said = [*sentences.texts[:3], ""], [{"vendor": 0.3}, {}, {"vendor": 0.9}, {"vendor": 0.1}]
    before, after = weighing.classify(texts, said), opened.classifier.classify(texts, said)
    assert np.array_equal(before.scores, after.scores)
    assert before.scopes.tolist() == after.scopes.tolist()


def test_parts_that_do_not_fit_are_refused(weighing: Classifier) -> None:
    with pytest.raises(ValueError, match="columns of signals"):
        Classifier(weighing.encoder, weighing.head, weighing.calibration, SPEC)
