"""The data sets of the classifier benchmark. Their texts are offensive; nothing of them is printed."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.report import DATA
from secondlook.trainer.data.splits import group_keys, own_draw

SETS: Mapping[str, Mapping[str, str]] = {  # file → label → what its figures are called
    "davidson": {"offensive": "davidson_offensive", "hate": "davidson_hate"},
    "edos": {"sexist": "edos"},
    "sms_spam": {"spam": "sms_spam"},
    "wiki_toxicity": {"toxic": "wiki_toxicity"},
}
TEST_SHARE, TEST_ROWS = 0.2, 500  # of the small sets about so many rows, though that is more than the share


@dataclass(frozen=True, slots=True)
class DataSet:
    """`targets` float64[n, labels], NaN unknown. `names`: what the figures of each label are called.

    `test` and `pool` are numbers of rows: to measure on, always the same, and to learn from. Near copies share a draw
    in [0, 1), and with it a part; the pool holds one of them.
    """

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    targets: NDArray[np.float64]
    draws: NDArray[np.float64]
    test: NDArray[np.intp]
    pool: NDArray[np.intp]


def missing() -> list[str]:
    """The data sets that are not there."""
    return [name for name in SETS if not (DATA / f"{name}.jsonl.gz").exists()]


def load(name: str) -> DataSet:
    """Read a data set."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    draws = np.array([own_draw(group_keys(row["text"])[0]) for row in rows])
    held_out = draws < max(TEST_SHARE, TEST_ROWS / len(rows))
    first = np.zeros(len(rows), np.bool_)
    first[np.unique(draws, return_index=True)[1]] = True
    return DataSet(
        name=name,
        ids=tuple(row["id"] for row in rows),
        texts=tuple(row["text"] for row in rows),
        labels=tuple(SETS[name]),
        names=tuple(SETS[name].values()),
        targets=np.array([[row["labels"].get(label, np.nan) for label in SETS[name]] for row in rows], np.float64),
        draws=draws,
        test=np.flatnonzero(held_out),
        pool=np.flatnonzero(~held_out & first),
    )
