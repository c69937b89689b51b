import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.common.text.windows import ALONE, LEAST, MOST, SIZES, windows

BAD = "Something that nobody should have to read"
GOOD = "The weather was lovely this morning and we walked along the river for an hour. "


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab .!?\n", max_size=2_000))
def test_windows_are_parts_of_the_text_and_cover_it(text: str) -> None:
    cut, covered = windows(text)
    assert len(cut) <= MOST
    place = 0
    for window in cut:
        found = text.find(window, max(0, place - SIZES[-1]))
        assert found >= 0
        assert covered is False or not text[place:found].strip()
        place = max(place, found + len(window))
    if covered and cut:
        assert not text[place:].strip()


@pytest.mark.parametrize("text", ["", "short", "x" * ALONE, "One sentence. " * (ALONE // 14)])
def test_a_short_text_is_read_as_it_is(text: str) -> None:
    assert windows(text) == ((), True)


@pytest.mark.parametrize("before", range(0, 6))
@pytest.mark.parametrize("after", range(0, 6))
def test_a_sentence_is_read_alone_however_it_is_padded(before: int, after: int) -> None:
    text = f"{GOOD * before}{BAD}. {GOOD * after}".strip()
    cut, covered = windows(text)
    assert covered
    assert not cut or f"{BAD}." in [window.strip() for window in cut]


def test_words_without_a_sentence_overlap() -> None:
    cut, _ = windows("word " * 100)
    assert max(map(len, cut)) <= SIZES[0]
    assert sum(map(len, cut)) > 1.4 * 500


def test_the_cost_of_a_text_is_bounded() -> None:
    for text in ("x" * 200_000, "a. " * 66_000, "word " * 40_000, "\u4f60" * 200_000, "\n" * 200_000 + "x"):
        cut, covered = windows(text)
        assert len(cut) <= MOST
        assert not covered or sum(map(len, cut)) >= len(text.strip()) - LEAST
