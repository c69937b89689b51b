"""Fine-tuning an encoder: it learns, it can be stopped anywhere, and what is exported is what was trained."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import AutoModel, AutoTokenizer

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.errors import TrainingRefused
from secondlook.trainer.encoders.encoder import export_encoder
from secondlook.trainer.model import tuning
from secondlook.trainer.model.methods import Method
from secondlook.trainer.model.recipe import Recipe
from secondlook.trainer.model.tuning import LAYER, load_layer, tune

THINGS = ("lamp", "bicycle", "ticket", "chair", "piano", "bread", "garden", "river", "window", "letter")
RECIPE = Recipe(epochs=3, batch=8, encoder_rate=3e-3, head_rate=0.1, max_tokens=32)
Targets = NDArray[np.float64]


def order_matters(seed: int, n: int) -> tuple[list[str], Targets]:
    """Texts in which only the order of two words tells the first label: no bag of words can. The second label, which
    every other row leaves open, is one word."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.full((n, 2), np.nan)
    for row in range(n):
        first, second = rng.permutation(["before", "after"])
        filler = rng.choice(THINGS, 3)
        texts.append(f"{filler[0]} {first} {filler[1]} {second} {filler[2]}")
        targets[row, 0] = first == "before"
        if row % 2:
            targets[row, 1] = "piano" in filler
    return texts, targets


def nothing() -> tuple[Floats, Floats]:
    return np.zeros((48, 2), np.float32), np.zeros(2, np.float32)


def quiet(words: str) -> None:
    """Nobody listens."""


TEXTS, TARGETS = order_matters(0, 400)


def run(encoder: Path, cache: Path, recipe: Recipe = RECIPE, progress: Callable[[str], None] = quiet) -> Path:
    return tune(encoder, "small", TEXTS, TARGETS, nothing(), recipe, cache, progress, checkpoint_seconds=0)


def weights(folder: Path) -> dict[str, Floats]:
    return {**load_file(folder / "model.safetensors"), **load_file(folder / LAYER)}


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def recipe_of(method: Method) -> Recipe:
    return replace(RECIPE, method=method)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_int8_encoder_tells_what_was_learned(small_bert: Path, tmp_path: Path, method: Method) -> None:
    folder = run(small_bert, tmp_path, recipe_of(method))
    texts, targets = order_matters(1, 200)
    exported = export_encoder(str(folder), tmp_path)
    weight, bias = load_layer(folder)
    logits = Encoder(exported.onnx, exported.tokenizer).encode(texts) @ weight + bias
    assert np.mean((logits[:, 0] > 0) == targets[:, 0]) > 0.95
    known = ~np.isnan(targets[:, 1])
    assert np.mean((logits[known, 1] > 0) == targets[known, 1]) > 0.9
    assert folder.name.startswith("small-tuned-")


def test_the_graph_computes_what_torch_trained(small_bert: Path, tmp_path: Path) -> None:
    folder = run(small_bert, tmp_path, replace(RECIPE, epochs=1))
    texts = [*TEXTS[:20], "", "piano", "before " * 30]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        tokens = tokenizer(texts, padding=True, return_tensors="pt", max_length=64, truncation=True)
        hidden, mask = model(**tokens).last_hidden_state, tokens["attention_mask"].unsqueeze(-1)
        wanted = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    exported = export_encoder(str(folder), tmp_path)
    found = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens).encode(texts)
    assert np.sum(wanted * found, axis=1).min() > 0.99, "cosine of int8 to torch"


class StoppedError(Exception):
    """Stands for whatever ends the process."""


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("stop_at", [1, 60])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method, stop_at: int
) -> None:
    recipe = replace(recipe_of(method), epochs=2)
    whole = run(small_bert, tmp_path / "whole", recipe)
    monkeypatch.setattr(tuning, "PROGRESS_SECONDS", 0.0)

    def stop(words: str) -> None:
        if f"step {stop_at} " in words:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(small_bert, tmp_path / "stopped", recipe, stop)
    told: list[str] = []
    resumed = run(small_bert, tmp_path / "stopped", recipe, told.append)
    assert_same(whole, resumed)
    if stop_at > 1:
        assert told[0] == f"fine-tuning: resumed at step {stop_at - 1} of 100"
        assert f"step {stop_at} of 100" in told[1]
    assert not list((tmp_path / "stopped").glob("*/checkpoint*")), "what is done needs no checkpoint"
    assert run(small_bert, tmp_path / "stopped", recipe, told.append) == resumed
    assert "step 100 of 100" in told[-1], "what is done is not done again"


def test_a_damaged_checkpoint_costs_time_and_nothing_else(
    small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, epochs=1)
    whole = run(small_bert, tmp_path / "whole", recipe)
    monkeypatch.setattr(tuning, "PROGRESS_SECONDS", 0.0)

    def stop(words: str) -> None:
        if "step 20 " in words:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(small_bert, tmp_path / "stopped", recipe, stop)
    (checkpoint,) = (tmp_path / "stopped").glob("*/checkpoint.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert_same(whole, run(small_bert, tmp_path / "stopped", recipe))


def test_other_data_starts_anew_and_clears_what_is_a_day_old(small_bert: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1)
    texts, targets = TEXTS[:16], TARGETS[:16]
    folders = []
    for age in (tuning.ABANDONED_SECONDS + 60, 0):
        folders.append(tune(small_bert, "small", texts, targets, nothing(), recipe, tmp_path, quiet))
        when = time.time() - age
        os.utime(folders[-1].parent, (when, when))
        texts, targets = texts[1:], targets[1:]
    last = tune(small_bert, "small", texts, targets, nothing(), recipe, tmp_path, quiet)
    assert len({*folders, last}) == 3
    assert [folder.is_dir() for folder in (*folders, last)] == [False, True, True]


def test_what_is_unknown_teaches_nothing(small_bert: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1)
    open_targets = TARGETS.copy()
    open_targets[:, 1] = np.nan
    folder = tune(small_bert, "small", TEXTS, open_targets, nothing(), recipe, tmp_path, quiet)
    weight, bias = load_layer(folder)
    assert not weight[:, 1].any()
    assert bias[1] == 0
    assert weight[:, 0].any()


def test_a_rate_that_is_too_high_is_refused(small_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match=r"diverged at step \d+ of 150"):
        run(small_bert, tmp_path, replace(RECIPE, encoder_rate=1e30))
    assert not list(tmp_path.glob("*/checkpoint*"))
