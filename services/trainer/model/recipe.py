"""How an encoder is fine-tuned: the figures, and the order of the texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secondlook.trainer.model.methods import Method

_SORTED_BATCHES = 32  # that many batches are cut from texts sorted by length, so that little is padding


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to fine-tune. `full` changes every weight; `lora` trains low-rank additions to the linear layers (Hu et al.
    2021), which are merged at the end. Rates are AdamW's at their highest: they warm up and decay linearly.
    """

    method: Method = "full"
    epochs: int = 2
    batch: int = 32
    encoder_rate: float = 5e-5
    head_rate: float = 1e-2
    max_tokens: int = 128
    seed: int = 0


def batches(lengths: Sequence[int], recipe: Recipe, epoch: int) -> Iterator[NDArray[np.intp]]:
    """The rows of each step of an epoch: every row once, in an order that the seed and the epoch fix."""
    rng = np.random.default_rng((recipe.seed, epoch))
    order = rng.permutation(len(lengths))
    cut: list[NDArray[np.intp]] = []
    for start in range(0, len(order), recipe.batch * _SORTED_BATCHES):
        window = np.array(sorted(order[start : start + recipe.batch * _SORTED_BATCHES], key=lengths.__getitem__))
        cut += [window[i : i + recipe.batch] for i in range(0, len(window), recipe.batch)]
    yield from (cut[i] for i in rng.permutation(len(cut)))
