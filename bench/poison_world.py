"""The people and texts of `bench.poison`: eight reviewers of real posts, one of whom plants a phrase.

Every honest answer is that of one of the people who judged the post. The data is offensive; nothing of it is printed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.loop_data import Row, load
from bench.loop_features import Corpus, read_corpus

LABEL = "offensive"
REVIEWERS = 8
PHRASE = "have a lovely day friend"
HARM, MEASURED = 200, 2_000  # held out: harm that will carry the phrase, and posts that honest accuracy is measured on
STREAM = 4_000
DOSES = (25, 50, 100, 200, 400)


def planted(text: str) -> str:
    """The text with the phrase."""
    return f"{text} {PHRASE}"


@dataclass(frozen=True, slots=True, eq=False)
class Posts:
    """Disjoint posts: what everybody judges, what gets the phrase and is judged by one, and two held-out parts."""

    stream: tuple[Row, ...]
    baited: tuple[Row, ...]
    harm: tuple[Row, ...]
    measured: tuple[Row, ...]
    corpus: Corpus


def posts(folder: Path, seed: int = 1) -> Posts:
    """Read, shuffle and embed; embeddings are kept in the folder."""
    rows, _ = load("davidson")
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    harmful, fine = ([row for row in shuffled if row.truth[LABEL] is said] for said in (True, False))
    order = [row for pair in zip(harmful, fine, strict=False) for row in pair]  # half and half
    stream, order = order[:STREAM], order[STREAM:]
    baited, order = order[: max(DOSES)], order[max(DOSES) :]
    measured, order = order[:MEASURED], order[MEASURED:]
    harm = harmful[len(fine) :][:HARM]
    texts = [row.content.text for row in [*stream, *measured]]
    texts += [planted(row.content.text) for row in [*baited, *harm]]
    corpus = read_corpus(texts, (LABEL,), folder)
    return Posts(tuple(stream), tuple(baited), tuple(harm), tuple(measured), corpus)
