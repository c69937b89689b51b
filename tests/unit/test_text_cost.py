"""What a text costs grows with its length and not with its square, whatever is in it."""

import time

import pytest

from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import readings
from secondlook.common.text.cleaning import clean
from secondlook.common.text.windows import windows
from secondlook.trainer.data.splits import canonical

LONGEST = 200_000
# Most take a tenth of a second; with a square in it, minutes.
SECONDS = 8.0
PIECES = (
    "a", ".", "a.", "a. ", "...... ", "?!", "\u2026", "\u3002", "\n", " ", "a" + "." * 50, "_", "a_", "1", "a1", "1a",
    "&", "&amp;", "&#", "&#1", "<", "<a", "<!--", "@", "a@", "www.", "+", "+-.", "'", "a'", "-a", "a - ", "aaab", "!1",
    "\u0301", "\u0301\u0316", "a\u0301", "\u0430.", "\u200b", "\u3164", "\ufdfa ", "\U000e0041", "\U0001f170", "http://",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
@pytest.mark.parametrize("first", ["", "a"])
def test_the_longest_text_of_anything_is_read_in_seconds(piece: str, first: str) -> None:
    text = (first + piece * LONGEST)[:LONGEST]
    started = time.process_time()
    windows(text)
    readings([text], FeatureSpec(version=2))
    clean(text)
    canonical(text)
    assert time.process_time() - started < SECONDS


def test_a_letter_keeps_no_more_marks_than_any_language_piles_on_one() -> None:
    assert clean("x" + "\u0316\u0301" * 10) == "x" + "\u0316" * 10 + "\u0301" * 10
    assert len(clean("x" + "\u0316\u0301" * 10_000 + "y")) == 32
