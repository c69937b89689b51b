"""Fine-tuning an encoder: the schedule, checkpoints to go on from, and the folder that comes of it.

`torch_encoder` does the steps. It is imported when it is needed, because torch is an extra.
"""

import hashlib
import importlib.util
import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from services.common.classifier import Floats
from services.common.errors import ConfigurationError, TrainingRefused
from services.common.features import clean
from services.trainer.encoder import FILES
from services.trainer.settings import Method

EXTRA = ("torch", "peft")
LAYER = "layer.safetensors"  # what was trained on top of the encoder
CHECKPOINT = "checkpoint.safetensors"
PROGRESS_SECONDS = 2.0
_SORTED_BATCHES = 32  # that many batches are cut from texts sorted by length, so that little is padding
_log = logging.getLogger(__name__)


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


def require_extra() -> None:
    """Raises ConfigurationError unless what fine-tuning needs is installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"fine-tuning needs {' and '.join(missing)}: install the extra `finetune` (several GB), or set "
            "SECONDLOOK_TRAIN_MODE=head"
        )


def batches(lengths: Sequence[int], recipe: Recipe, epoch: int) -> Iterator[NDArray[np.intp]]:
    """The rows of each step of an epoch: every row once, in an order that the seed and the epoch fix."""
    rng = np.random.default_rng((recipe.seed, epoch))
    order = rng.permutation(len(lengths))
    cut: list[NDArray[np.intp]] = []
    for start in range(0, len(order), recipe.batch * _SORTED_BATCHES):
        window = np.array(sorted(order[start : start + recipe.batch * _SORTED_BATCHES], key=lengths.__getitem__))
        cut += [window[i : i + recipe.batch] for i in range(0, len(window), recipe.batch)]
    yield from (cut[i] for i in rng.permutation(len(cut)))


def tune(
    folder: Path,
    name: str,
    texts: Sequence[str],
    targets: NDArray[np.float64],
    start: tuple[Floats, Floats],
    recipe: Recipe,
    cache: Path,
    progress: Callable[[str], None],
    *,
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Fine-tune the encoder in `folder`, which is called `name`, on targets float64[n, labels] of texts[n]; NaN is
    unknown, and of every text something is known. `start` is the layer to begin with: float32[dim, labels], [labels].

    Returns a folder with the files of an encoder, and `LAYER` with the layer's `weight` [dim, labels] and `bias`. What
    a killed run had learned is kept in `cache` and gone on from, if encoder, data and recipe are the same; the end is
    then the same, too. Of anything else `cache` is cleared.

    Raises:
        ConfigurationError: torch or peft is not installed.
        TrainingRefused: the loss is no number any more.
    """
    require_extra()
    key = _key(folder, texts, targets, recipe)
    work = cache / key
    done = work / f"{name}-tuned-{key[:8]}"
    if done.is_dir():
        return done
    for other in cache.glob("*"):
        if other != work:
            shutil.rmtree(other, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    _learn(folder, texts, targets, start, recipe, work, done, progress, checkpoint_seconds)
    (work / CHECKPOINT).unlink(missing_ok=True)
    return done


def _learn(
    folder: Path,
    texts: Sequence[str],
    targets: NDArray[np.float64],
    start: tuple[Floats, Floats],
    recipe: Recipe,
    work: Path,
    done: Path,
    progress: Callable[[str], None],
    checkpoint_seconds: float,
) -> None:
    from services.trainer.torch_encoder import TorchEncoder

    tokens = _tokens(folder, texts, recipe.max_tokens)
    lengths = [len(ids) for ids in tokens]
    steps = recipe.epochs * math.ceil(len(texts) / recipe.batch)
    model = TorchEncoder(folder, *start, recipe, steps)
    checkpoint = work / CHECKPOINT
    if checkpoint.is_file():
        try:
            model.load_checkpoint(checkpoint)
        except (SafetensorError, KeyError, RuntimeError) as error:
            _log.warning("%s cannot be read, fine-tuning starts anew: %s", checkpoint.name, error)
            model = TorchEncoder(folder, *start, recipe, steps)
    first = model.step
    if first:
        progress(f"fine-tuning: resumed at step {first} of {steps}")
    began = told = kept = time.monotonic()
    everything = (rows for epoch in range(recipe.epochs) for rows in batches(lengths, recipe, epoch))
    for number, rows in enumerate(everything):
        if number < first:
            continue
        loss = model.learn([tokens[row] for row in rows], targets[rows])
        if not math.isfinite(loss):
            checkpoint.unlink(missing_ok=True)
            raise TrainingRefused(f"fine-tuning diverged at step {number + 1} of {steps}; lower the learning rate")
        now = time.monotonic()
        if now - told >= PROGRESS_SECONDS:
            told = now
            progress(_words(model.step, steps, (now - began) / (model.step - first), recipe.batch))
        if now - kept >= checkpoint_seconds and model.step < steps:
            model.save_checkpoint(checkpoint)
            kept = time.monotonic()
    with tempfile.TemporaryDirectory(dir=work, prefix=".tuned-") as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        model.save(whole / "model.safetensors", whole / LAYER)
        for name in FILES:
            if name != "model.safetensors":
                shutil.copyfile(folder / name, whole / name)
        whole.rename(done)


def _words(step: int, steps: int, seconds_a_step: float, batch: int) -> str:
    seconds = (steps - step) * seconds_a_step
    left = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f"fine-tuning: step {step} of {steps}, {batch / seconds_a_step:.0f} texts/s, about {left} left"


def load_layer(folder: Path) -> tuple[Floats, Floats]:
    """The layer that was trained on top of the encoder: float32[dim, labels] and float32[labels]."""
    arrays = load_file(folder / LAYER)
    return arrays["weight"], arrays["bias"]


def _tokens(folder: Path, texts: Sequence[str], most: int) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(most)
    tokenizer.no_padding()
    return [encoding.ids for encoding in tokenizer.encode_batch([clean(text) for text in texts])]


def _key(folder: Path, texts: Sequence[str], targets: NDArray[np.float64], recipe: Recipe) -> str:
    digest = hashlib.sha256(json.dumps([asdict(recipe), *texts]).encode())
    digest.update(np.ascontiguousarray(targets, "<f8").tobytes())
    for name in FILES:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
