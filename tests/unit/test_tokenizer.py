"""The router tokenizes with `tokenizers` alone, and reads the same ids as transformers would."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from secondlook.common.bundle.classifier import Encoder
from secondlook.common.text.cleaning import clean
from secondlook.trainer.data.starter import starter_set
from secondlook.trainer.encoders.encoder import ExportedEncoder

ODD = [
    "", " ", "\t\n", "a", "UPPER lower MiXeD", "naïve café \ufb01ancé", "don't won't it's", "1,234.56 €", "a" * 5000,
    "word " * 400, "👍🏽👩\u200d👩\u200d👧", "\u202e\u05e9\u05dc\u05d5\u05dd مرحبا", "日本語のテキスト",
    "混合 mixed スクリプト",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[cls]text[sep]", "##piece", "\u200b\u200d\ufeff", "\ud800 lone", "\x00\x01",
    "https://example.com/a?b=c#d", "@user #tag", "e\u0301 vs é", "Ⅷ ½ ﷺ", "\uff41\uff42\uff43 full width",
    "tab\tand\r\nnewline", "--- *** ___", "मैं हिंदी", "ไทยไม่มีช่องว่าง",
]  # fmt: skip


@pytest.fixture(scope="module")
def theirs(exported: ExportedEncoder) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=str(exported.tokenizer))


def ids(encoder: Encoder, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in encoder._tokenizer.encode_batch([clean(text) for text in texts])]


def expected(tokenizer: PreTrainedTokenizerFast, texts: list[str], most: int) -> list[list[int]]:
    read = tokenizer([clean(text) for text in texts], truncation=True, max_length=most, padding=False)
    found: list[list[int]] = read["input_ids"]
    return found


def test_the_ids_are_those_of_transformers(encoder: Encoder, theirs: PreTrainedTokenizerFast) -> None:
    samples = [example.text for example in starter_set()]
    shuffled = [" ".join(random.Random(seed).sample(ODD, 5)) for seed in range(200)]
    texts = [*ODD, *samples, *shuffled]
    assert ids(encoder, texts) == expected(theirs, texts, encoder.max_tokens)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=5))
def test_the_ids_of_any_text_are_those_of_transformers(
    encoder: Encoder, theirs: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    assert ids(encoder, texts) == expected(theirs, texts, encoder.max_tokens)


def test_a_router_does_not_import_transformers(tmp_path: Path) -> None:
    code = "import sys, secondlook.router.__main__; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
