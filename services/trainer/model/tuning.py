"""Fine-tuning an encoder: the schedule, checkpoints to resume from, and the folder that results.

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
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from secondlook.common.bundle.classifier import Floats
from secondlook.common.errors import ConfigurationError, TrainingRefused
from secondlook.common.text.cleaning import clean
from secondlook.trainer.encoders.encoder import FILES
from secondlook.trainer.model.recipe import Recipe, batches

EXTRA = ("torch", "peft", "onnxscript")
LAYER = "layer.safetensors"  # what was trained on top of the encoder
CHECKPOINT = "checkpoint.safetensors"
PROGRESS_SECONDS = 2.0
ABANDONED_SECONDS = 86_400  # since anything was written there
_log = logging.getLogger(__name__)


def require_extra() -> None:
    """Raises ConfigurationError unless the extra for fine-tuning is installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"fine-tuning needs {' and '.join(missing)} (several GB): `make setup-finetune`, or "
            "pip install 'second-look[finetune]'"
        )


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

    Returns a folder with the files of an encoder, and `LAYER` with the layer's `weight` [dim, labels] and `bias`. A
    killed run leaves a checkpoint in `cache`, and the next one with the same encoder, data and recipe resumes from it,
    to the same end. Folders there that nothing was written to for a day are removed.

    Raises:
        ConfigurationError: torch or peft is not installed.
        TrainingRefused: the loss is no number any more.
        OSError: the result cannot be written. A checkpoint that cannot be written is only logged.
    """
    require_extra()
    key = _key(folder, texts, targets, recipe)
    work = cache / key
    done = work / f"{name}-tuned-{key[:8]}"
    if done.is_dir():
        return done
    for other in cache.glob("*"):
        if other != work and time.time() - other.stat().st_mtime > ABANDONED_SECONDS:
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
    from secondlook.trainer.model.torch_encoder import TorchEncoder

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
            raise TrainingRefused(
                f"fine-tuning diverged at step {number + 1} of {steps}; try SECONDLOOK_FINETUNE_METHOD=lora"
            )
        now = time.monotonic()
        if now - told >= PROGRESS_SECONDS:
            told = now
            progress(_words(model.step, steps, (now - began) / (model.step - first), recipe.batch))
        if now - kept >= checkpoint_seconds and model.step < steps:
            try:
                model.save_checkpoint(checkpoint)
            except (SafetensorError, OSError) as error:
                _log.warning("%s cannot be written, fine-tuning continues without it: %s", checkpoint, error)
            kept = time.monotonic()
    with tempfile.TemporaryDirectory(dir=work, prefix=".tuned-") as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        try:
            model.save(whole / "model.safetensors", whole / LAYER)
        except SafetensorError as error:
            raise OSError(f"{done} cannot be written: {error}") from error
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
