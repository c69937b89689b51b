import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.text.cleaning import clean

SPEC = FeatureSpec(bits=10)
GOLDEN_SIZE, GOLDEN = 213, "9648c1c36c2e0639"
any_text = st.text(alphabet=st.characters(), max_size=200)  # lone surrogates too


@settings(max_examples=60, deadline=None)
@given(st.lists(any_text, max_size=5))
def test_every_str_gives_a_row_of_finite_numbers(texts: list[str]) -> None:
    features = ngrams(texts, SPEC)
    assert features.shape == (len(texts), SPEC.width)
    assert features.dtype == np.float32
    assert np.isfinite(features.data).all()


@given(any_text)
def test_clean_text_is_storable_and_in_normal_form(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not set(cleaned) & set("\u200b\u200d\u202e\u00ad\ufeff")


FULL_WIDTH = "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in "buy cheap pills")
SCRIPT = "".join(chr(ord(c) - ord("a") + 0x1D4EA) if c != " " else c for c in "buy cheap pills")


@pytest.mark.parametrize("disguised", ["buy che\u200bap p\u00adills", FULL_WIDTH, SCRIPT, "BUY CHEAP \u202epills"])
def test_writing_around_the_filter_does_not_change_the_features(disguised: str) -> None:
    plain, other = ngrams(["buy cheap pills", disguised], SPEC).toarray()
    assert np.array_equal(plain, other)


def test_words_and_characters_have_a_half_each_of_norm_one() -> None:
    row = ngrams(["a plain sentence"], SPEC).toarray()[0]
    words, characters = np.split(row, 2)
    assert np.linalg.norm(words) == pytest.approx(1)
    assert np.linalg.norm(characters) == pytest.approx(1)


def test_version_1_reads_every_text_as_it_always_did() -> None:
    """Hashes and values of a text with everything that version 2 treats differently, as bundles were made with them."""
    text = (
        "S\u043e k.i.l.l sh1t &amp; soooo \u200bstill, a long text. Another sentence that says more, and then one more."
    )
    row = ngrams([text], FeatureSpec())
    row.sort_indices()
    digest = hashlib.sha256(row.indices.astype("<i4").tobytes() + row.data.astype("<f4").tobytes()).hexdigest()
    assert (row.nnz, digest[:16]) == (GOLDEN_SIZE, GOLDEN)
    assert np.array_equal(row.toarray(), ngrams([text], FeatureSpec(version=2)).toarray())


def test_a_text_without_words_or_characters_is_zero() -> None:
    assert ngrams(["", " \n\t", "\u200b"], SPEC).nnz == 0


def test_a_text_is_the_same_alone_and_among_others() -> None:
    texts = ["one", "zwei drei", "👍" * 50, "x" * 20_000]
    together = ngrams(texts, SPEC).toarray()
    assert np.array_equal(together, np.vstack([ngrams([text], SPEC).toarray() for text in texts]))


@pytest.mark.parametrize("bad", [{"bits": 40}, {"word_ngrams": (2, 1)}, {"version": 3}, {"stopwords": True}])
def test_a_spec_that_this_code_cannot_honour_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FeatureSpec.model_validate(bad)
