"""Encoders of other architectures, random and small, against transformers' own forward pass of each text alone."""

import logging
import sys
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from secondlook.common.bundle.classifier import Encoder
from secondlook.common.errors import ConfigurationError
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder, resolve_encoder
from secondlook.trainer.encoders.torch_export import export_with_torch

Array = NDArray[Any]
TEXTS = [
    "A short one.",
    "The committee postponed the meeting because nobody had read the report.",
    "Wo ist der nächste Bahnhof, bitte?",
    "🙂 مرحبا 你好 " * 5,
    "word " * 300,
]
USUAL = {
    "vocab_size": 30_522, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "distilbert": {
        "vocab_size": 30_522, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64,
        "initializer_range": 0.2,
    },
    "mpnet": {**USUAL, "pad_token_id": 1},
    "electra": {**USUAL, "embedding_size": 16},
    "deberta-v2": {
        **USUAL, "relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16, "share_att_key": True, "norm_rel_ebd": "layer_norm", "conv_kernel_size": 3,
    },
    "modernbert": {
        **USUAL, "max_position_embeddings": 8192, "global_attn_every_n_layers": 2, "local_attention": 16,
        "bos_token_id": 101, "eos_token_id": 102, "cls_token_id": 101, "sep_token_id": 102,
    },
    "bert": {**USUAL, "hidden_act": "relu"},
    "gpt2": {"vocab_size": 30_522, "n_embd": 32, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1},
    "t5": {"vocab_size": 30_522, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2},
    "fnet": USUAL,
    "vit": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}  # fmt: skip


def small(family: str, folder: Path) -> Path:
    """A model that has learned nothing, with the default encoder's tokenizer."""
    torch.manual_seed(3)
    AutoModel.from_config(AutoConfig.for_model(family, **SMALL[family])).save_pretrained(folder)
    copyfile(resolve_encoder(DEFAULT_ENCODER, folder) / "tokenizer.json", folder / "tokenizer.json")
    return folder


def alone(folder: Path, encoder: Encoder) -> Array:
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    found = []
    for encoding in encoder._tokenizer.encode_batch(TEXTS):
        with torch.no_grad():
            mean = model(input_ids=torch.tensor([encoding.ids])).last_hidden_state[0].numpy().mean(axis=0)
        found.append(mean / np.linalg.norm(mean))
    return np.stack(found)


def loaded(made: ExportedEncoder) -> Encoder:
    return Encoder(made.onnx, made.tokenizer, max_tokens=made.max_tokens)


@pytest.fixture(scope="module", params=["distilbert", "mpnet", "electra", "deberta-v2", "modernbert", "bert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(request.param, tmp_path_factory.mktemp("models") / request.param)


@pytest.fixture(scope="module")
def made(folder: Path) -> ExportedEncoder:
    return export_encoder(str(folder), folder.parent / "cache")


def test_int8_stays_close_to_torch(folder: Path, made: ExportedEncoder) -> None:
    encoder = loaded(made)
    found, wanted = encoder.encode(TEXTS), alone(folder, encoder)
    assert found.shape == (len(TEXTS), made.dim) == (len(TEXTS), 32)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert np.sum(found * wanted, axis=1).min() > 0.98
    assert made.onnx.stat().st_size < 0.4 * (folder / "model.safetensors").stat().st_size


def test_an_embedding_does_not_depend_on_its_batch(made: ExportedEncoder) -> None:
    encoder = loaded(made)
    together = encoder._run([encoding.ids for encoding in encoder._tokenizer.encode_batch(TEXTS)])
    separate = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.abs(together - separate).max() < 1e-5


def test_the_graph_is_what_a_bundle_expects(folder: Path, made: ExportedEncoder) -> None:
    session = onnxruntime.InferenceSession(made.onnx, providers=["CPUExecutionProvider"])
    axes = ["batch", "tokens"]
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("input_ids", axes), ("attention_mask", axes)]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("embedding", ["batch", 32])]
    assert made.max_tokens == {"mpnet": 62, "modernbert": 256}.get(folder.name, 64)
    packages = Path(torch.__file__).parents[1]
    assert str(packages).encode() not in made.onnx.read_bytes()


def test_what_is_in_the_cache_needs_no_torch(
    folder: Path, made: ExportedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert export_encoder(str(folder), folder.parent / "cache") == made


def test_fp32_is_kept_where_int8_is_broken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = small("distilbert", tmp_path / "lopsided")
    weights = load_file(folder / "model.safetensors")
    rows, norm = weights["embeddings.word_embeddings.weight"], weights["embeddings.LayerNorm.weight"]
    rows[:, 0], norm[0] = 300, 0  # the one large component of each row takes all levels, and is then thrown away
    norm[1:] = 60
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with caplog.at_level(logging.WARNING):
        made = export_encoder(str(folder), tmp_path / "cache")
    assert [record.message for record in caplog.records if "stays fp32" in record.message]
    encoder = loaded(made)
    assert np.abs(encoder.encode(TEXTS) - alone(folder, encoder)).max() < 1e-4


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("gpt2", "it is a decoder"),
        ("t5", "an encoder with a decoder"),
        ("vit", "no encoder of texts"),
        ("fnet", "in a batch its embeddings differ"),
    ],
)
def test_what_is_no_encoder_of_single_texts_is_refused(family: str, message: str, tmp_path: Path) -> None:
    folder = small(family, tmp_path / family)
    with pytest.raises(ConfigurationError, match=message):
        export_encoder(str(folder), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_a_checkpoint_that_lacks_weights_is_refused_unless_they_do_not_matter(tmp_path: Path) -> None:
    folder = small("bert", tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    for lost in ("pooler.dense.weight", "encoder.layer.1.output.dense.weight"):
        del weights[lost]
        save_file(weights, folder / "model.safetensors")
        if lost.startswith("pooler"):
            assert export_encoder(str(folder), tmp_path / "cache").dim == 32
    with pytest.raises(ConfigurationError, match=r"lacks encoder\.layer\.1\.output\.dense\.weight"):
        export_encoder(str(folder), tmp_path / "cache")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    folder = small("distilbert", tmp_path / "damaged")
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=r"config\.json is not|cannot load"):
        export_encoder(str(folder), tmp_path / "cache")


def test_positions_that_transformers_would_ignore_are_refused(tmp_path: Path) -> None:
    folder = small("bert", tmp_path / "relative")
    config = AutoConfig.from_pretrained(folder)
    config.position_embedding_type = "relative_key"
    config.save_pretrained(folder)
    with pytest.raises(ConfigurationError, match="no longer reads"):
        export_encoder(str(folder), tmp_path / "cache")


def test_the_default_encoder_comes_out_the_same_with_and_without_torch(tmp_path: Path, encoder_cache: Path) -> None:
    folder = resolve_encoder(DEFAULT_ENCODER, tmp_path)
    without = loaded(export_encoder(DEFAULT_ENCODER, encoder_cache))
    graph, most = export_with_torch(folder, without._tokenizer.encode("").ids)
    assert most == 256
    onnx.save(graph, tmp_path / "torch.onnx")
    with_torch = Encoder(tmp_path / "torch.onnx", folder / "tokenizer.json")
    assert np.sum(with_torch.encode(TEXTS) * without.encode(TEXTS), axis=1).min() > 0.99
