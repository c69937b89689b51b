import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.disguises import DISGUISES
from secondlook.common.text.folding import fold

SENTENCE = "you are going to regret this very soon"
any_text = st.text(alphabet=st.characters(), max_size=120)
tricky = st.lists(
    st.sampled_from([*"aeikls .-_*&#;1305$@!|", "\u0430", "\u0456", "\u200b", "\u0336", "&amp;", "&#107;"])
)


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("k i l l", "kill"),
        ("k.i.l.l y.o.u", "kill you"),
        ("k - i - l - l", "kill"),
        ("k*i*l*l y|o|u", "kill you"),
        ("(k)(i)(l)(l)", "kill"),
        ("k_i_l_l", "kill"),
        ("ki.ll yo.u", "kill you"),
        ("h4t3 5tup1d", "hate stupid"),
        ("$tup1d", "stupid"),
        ("a$$et", "asset"),
        ("killllll", "kil"),
        ("k\u0456ll y\u043eu", "kill you"),  # Cyrillic i and o
        ("k\u03b9ll", "kill"),  # Greek iota
        ("\U0001f17a\U0001f178\U0001f17b\U0001f17b", "kill"),  # negative squared letters
        ("\u1d0b\u026a\u029f\u029f", "kill"),  # small capitals
        ("k\u0336i\u0336l\u0336l\u0336", "kill"),  # struck through
        ("&#107;&#105;&#108;&#108;", "kill"),
        ("k\ni\nl\nl", "kill"),
        ("k<b></b>i<!-- x -->ll", "kill"),
        ("k\ufe0ei\ufe0el\u034fl", "kill"),  # variation selectors, grapheme joiner
        ("k\u3164i\u3164l\u3164l", "kill"),  # Hangul filler
        ("k\u0640i\u0640l\u0640l", "kill"),  # tatweel
        ("k\u2800i\u2800l\u2800l", "kill"),  # blank of braille
        ("k\u02bci\u02bcl\u02bcl", "kill"),  # modifier letters
        ("k\u02b9i\u02c8l\u02ccl", "kill"),
        ("k\U0001f52ai\U0001f52al\U0001f52al", "kill"),
        ("k\u00edl\u013a y\u00f6\u00fc", "kill you"),
        ("&amp;#107;ill", "kill"),
    ],
)
def test_a_disguise_is_taken_off(disguised: str, plain: str) -> None:
    folded = fold(disguised)
    assert plain in {"".join(c for c in reading if c.isalnum() or c == " ").lower() for reading in folded.readings}
    assert folded.share > 0.3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An ordinary sentence, with a comma; and more.",
        "Don't panic, it's self-service (open 24/7).",
        "I will be there at 10pm on the 4th, with my mp3 player",
        "Write to anna.b@example.com or see https://example.com/a1b2c3?x=4",
        "@user1 thanks!!! #throwback",
        "I am a big fan",
        "Hawai'i, qur'an",
        "caf\u00e9 na\u00efve \u00fcber",
        "Tom &amp; Jerry &lt;3",
        "xxx",
        ["спасибо", "за", "щедрость"][2],
        "\u4f60\u597d\uff0c\u4e16\u754c",
    ],
)
def test_an_ordinary_text_has_no_other_reading(text: str) -> None:
    assert fold(text).readings == ()


@settings(max_examples=300, deadline=None)
@given(any_text | tricky.map("".join))
def test_folding_never_fails_and_gives_few_readings(text: str) -> None:
    folded = fold(text)
    assert len(folded.readings) <= 2
    assert 0 <= folded.share <= 1
    assert text not in folded.readings


@settings(max_examples=300, deadline=None)
@given(tricky.map("".join))
def test_a_reading_grows_no_longer_when_it_is_folded_again(text: str) -> None:
    for reading in fold(text).readings:
        assert all(len(again) <= len(reading) for again in fold(reading).readings)


@pytest.mark.parametrize("name", ["look_alikes", "digits", "spacing", "separators", "mixed_scripts", "entities"])
def test_the_disguises_of_the_benchmark_are_seen(name: str) -> None:
    assert fold(DISGUISES[name](SENTENCE)).share > 0.5
