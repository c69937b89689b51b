"""The exported encoder against an independent forward pass of the same weights in numpy."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.special import erf, softmax

from secondlook.common.bundle.classifier import Encoder
from secondlook.common.errors import ConfigurationError
from secondlook.trainer.encoders.bert import build_graph
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder, resolve_encoder
from secondlook.trainer.encoders.int8 import to_int8

Array = NDArray[Any]
TEXTS = [
    "A short one.",
    "The committee postponed the meeting because nobody had read the report.",
    "Wo ist der nächste Bahnhof, bitte?",
    "🙂 مرحبا 你好 " * 5,
    "word " * 300,
]


def forward(config: dict[str, Any], w: dict[str, Array], ids: list[int], first: int = 0) -> Array:
    """One text through BERT in float64, straight from the paper; returns the normalised mean."""

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def dense(x: Array, name: str) -> Array:
        return np.asarray(x @ w[f"{name}.weight"].T.astype(float) + w[f"{name}.bias"])

    e, heads = "embeddings", config["num_attention_heads"]
    position = w[f"{e}.position_embeddings.weight"][first : first + len(ids)]
    x = w[f"{e}.word_embeddings.weight"][ids].astype(float) + position + w[f"{e}.token_type_embeddings.weight"][0]
    x = norm(x, f"{e}.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}"
        q, k, v = (
            dense(x, f"{p}.attention.self.{n}").reshape(len(ids), heads, -1).swapaxes(0, 1)
            for n in ("query", "key", "value")
        )
        attended = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]), axis=-1) @ v
        joined = attended.swapaxes(0, 1).reshape(len(ids), -1)
        x = norm(x + dense(joined, f"{p}.attention.output.dense"), f"{p}.attention.output.LayerNorm")
        inner = dense(x, f"{p}.intermediate.dense")
        gelu = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + dense(gelu, f"{p}.output.dense"), f"{p}.output.LayerNorm")
    mean = x.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def token_ids(encoder: Encoder, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in encoder._tokenizer.encode_batch(texts)]


def run(model: bytes, tokens: list[list[int]]) -> Array:
    """One padded batch through a graph."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    width = max(map(len, tokens))
    ids = np.array([text + [0] * (width - len(text)) for text in tokens], np.int64)
    mask = np.array([[1] * len(text) + [0] * (width - len(text)) for text in tokens], np.int64)
    return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return resolve_encoder(DEFAULT_ENCODER, tmp_path_factory.mktemp("unused"))


@pytest.fixture(scope="module")
def expected(folder: Path, encoder: Encoder) -> Array:
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    return np.stack([forward(config, weights, ids) for ids in token_ids(encoder, TEXTS)])


def test_fp32_graph_equals_the_forward_pass(folder: Path, encoder: Encoder, expected: Array) -> None:
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    found = run(build_graph(config, weights).SerializeToString(), token_ids(encoder, TEXTS))
    assert np.abs(found - expected).max() < 2e-6


def test_int8_stays_close_to_fp32(encoder: Encoder, expected: Array) -> None:
    assert np.sum(encoder.encode(TEXTS) * expected, axis=1).min() > 0.97


def test_an_embedding_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.abs(encoder.encode([*TEXTS, "x y z " * 40])[: len(TEXTS)] - alone).max() < 1e-5


def test_int8_of_a_finished_graph_is_as_close(folder: Path, encoder: Encoder, expected: Array) -> None:
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    whole = build_graph(config, weights)
    small = to_int8(whole, token_ids(encoder, [""])[0], config["vocab_size"], 254)
    assert small.ByteSize() < 0.3 * whole.ByteSize()
    tokens = token_ids(encoder, TEXTS)
    found = run(small.SerializeToString(), tokens)
    assert np.sum(found * expected, axis=1).min() > 0.97
    alone = np.concatenate([run(small.SerializeToString(), [ids]) for ids in tokens])
    assert np.abs(found - alone).max() < 1e-5


def test_export_is_cached_by_content(exported: ExportedEncoder) -> None:
    cache = exported.onnx.parents[1]
    before = exported.onnx.stat().st_mtime_ns
    assert export_encoder(DEFAULT_ENCODER, cache) == exported
    assert exported.onnx.stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == [exported.onnx.parent.name]


def tiny(folder: Path, tokenizer: Path, **changes: Any) -> Path:
    """A random model of a few thousand weights with the real vocabulary size."""
    config = {
        "model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 30522,
        "intermediate_size": 16, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1, **changes,
    }  # fmt: skip
    rng = np.random.default_rng(3)
    shapes = {
        "embeddings.word_embeddings.weight": (30522, 8),
        "embeddings.position_embeddings.weight": (64, 8),
        "embeddings.token_type_embeddings.weight": (1, 8),
        "embeddings.LayerNorm.weight": (8,),
        "embeddings.LayerNorm.bias": (8,),
    }
    dense = {
        "attention.self.query": (8, 8), "attention.self.key": (8, 8), "attention.self.value": (8, 8),
        "attention.output.dense": (8, 8), "intermediate.dense": (16, 8), "output.dense": (8, 16),
    }  # fmt: skip
    for i in range(2):
        for name, shape in dense.items():
            shapes[f"encoder.layer.{i}.{name}.weight"] = shape
            shapes[f"encoder.layer.{i}.{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{i}.{name}.weight"] = shapes[f"encoder.layer.{i}.{name}.bias"] = (8,)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    prefix = "roberta." if config["model_type"] == "roberta" else ""
    weights = {prefix + name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    shutil.copy(tokenizer, folder / "tokenizer.json")
    return folder


def test_a_half_precision_roberta_in_a_local_folder(tmp_path: Path, exported: ExportedEncoder) -> None:
    folder = tiny(tmp_path / "my-roberta", exported.tokenizer, model_type="roberta")
    made = export_encoder(str(folder), tmp_path / "cache")
    assert (made.name, made.dim) == ("my-roberta", 8)
    encoder = Encoder(made.onnx, made.tokenizer, max_tokens=16)
    weights = {k.removeprefix("roberta."): v for k, v in load_file(folder / "model.safetensors").items()}
    config = json.loads((folder / "config.json").read_text())
    expected = [forward(config, weights, ids, first=2) for ids in token_ids(encoder, TEXTS[:3])]
    assert np.sum(encoder.encode(TEXTS[:3]) * np.stack(expected), axis=1).min() > 0.97


@pytest.mark.parametrize("changes", [{"model_type": "deberta-v2"}, {"hidden_act": "relu"}])
@pytest.mark.parametrize("lost", ["torch", "onnxscript"])
def test_other_architectures_need_the_extra(
    tmp_path: Path, exported: ExportedEncoder, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], lost: str
) -> None:
    monkeypatch.setitem(sys.modules, lost, None)
    folder = tiny(tmp_path / "other", exported.tokenizer, **changes)
    with pytest.raises(ConfigurationError, match=f"{lost}.* install the extra `finetune`"):
        export_encoder(str(folder), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path, exported: ExportedEncoder) -> None:
    folder = tiny(tmp_path / "other", exported.tokenizer, num_hidden_layers=3)
    with pytest.raises(ConfigurationError, match=r"lacks 'encoder\.layer\.2"):
        export_encoder(str(folder), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_and_missing_files_are_named(tmp_path: Path, exported: ExportedEncoder, name: str) -> None:
    folder = tiny(tmp_path / "damaged", exported.tokenizer)
    (folder / name).write_bytes(b'{"cut sh')
    with pytest.raises(ConfigurationError, match=name):
        export_encoder(str(folder), tmp_path / "cache")
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{name} missing"):
        export_encoder(str(folder), tmp_path / "cache")


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "a/b/c"])
def test_a_folder_that_is_not_there_is_not_asked_of_the_hub(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        resolve_encoder(source, tmp_path)


def test_an_unreachable_hub_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="hub did not deliver"):
        resolve_encoder("some-org/some-encoder", tmp_path)
