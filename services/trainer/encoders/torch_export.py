"""Encoders of other architectures than BERT's as ONNX graphs: traced by torch from the code of transformers.

A graph is as in `bert.py`: `input_ids, attention_mask: int64[batch, tokens] -> embedding: float32[batch, dim]`,
mean pooling over unmasked tokens, L2 norm 1. It is compared with torch, text by text, before anybody uses it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from secondlook.common.errors import ConfigurationError
from secondlook.trainer.encoders.bert import OPSET
from secondlook.trainer.encoders.int8 import open_session, random_tokens, run, to_int8

LARGEST_DIFFERENCE = 1e-4  # between the fp32 graph and torch, in a component of an embedding
LEAST_COSINE = 0.98  # between int8 and fp32, see `_cosine`
_MOST_TOKENS = 256
_LARGEST_PROTOBUF = 2**31
_BATCHES = ((1, 1), (2, 6), (4, 25), (3, _MOST_TOKENS))  # texts, and random tokens of the longest
_OTHER_LENGTHS = (3, 12, 24, 48, 96)  # none that int8 is calibrated on
_INPUTS = ("input_ids", "attention_mask")
_CHATTER = ("torch.onnx", "onnxscript", "onnx_ir")  # warn of steps that they skip, and of torchvision
_log = logging.getLogger(__name__)


def export_with_torch(folder: Path, frame: Sequence[int]) -> tuple[onnx.ModelProto, int]:
    """The graph of the encoder in `folder`, whose tokenizer encodes an empty text as `frame`, and how many tokens of a
    text it can be asked to read, 256 at most.

    int8 as in ADR 0007; fp32, and a warning in the log, where int8 is not close enough to fp32.

    Raises:
        ConfigurationError: the files are damaged or lack weights, the model is no encoder of texts, torch cannot trace
            it, or its embeddings depend on padding.
    """
    model = _load(folder)
    most = _most_tokens(model, folder, len(frame))
    _refuse_decoders(model, folder, frame)
    embedding = _Embedding(model).eval()
    graph = _trace(embedding, folder)
    vocabulary, room = model.config.vocab_size, most - len(frame)
    _compare(graph, embedding, folder, frame, vocabulary, room)
    small = to_int8(graph, frame, vocabulary, room)
    cosine = _cosine(small, graph, frame, vocabulary, room)
    if cosine >= LEAST_COSINE:
        return small, most
    _log.warning("the encoder in %s stays fp32: its cosine as int8 to fp32 is %.3f", folder, cosine)
    return graph, most


class _Embedding(torch.nn.Module):  # type: ignore[misc]  # torch is not there for the type checker
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)


def _load(folder: Path) -> Any:
    transformers_logging.disable_progress_bar()
    try:
        model, found = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",  # others make NaN of a token that sees nothing but padding
            output_loading_info=True,
        )
    except Exception as error:  # of a dozen kinds
        raise ConfigurationError(f"transformers cannot load the encoder in {folder}: {error}") from error
    if not hasattr(model.config, "vocab_size"):
        raise ConfigurationError(f"the model in {folder} is no encoder of texts")
    if model.config.is_encoder_decoder:
        raise ConfigurationError(f"the model in {folder} is an encoder with a decoder, not an encoder")
    if str(getattr(model.config, "position_embedding_type", "")).startswith("relative_key"):
        raise ConfigurationError(f"the encoder in {folder} has relative positions that transformers no longer reads")
    if sum(parameter.numel() for parameter in model.parameters()) * 4 > _LARGEST_PROTOBUF:
        raise ConfigurationError(f"the encoder in {folder} has more than the 2 GB of fp32 that an ONNX file can hold")
    model.requires_grad_(False).eval()
    tensors = model.state_dict()
    missing = sorted(name for name in found["missing_keys"] if tensors[name].is_floating_point())
    for name in missing:  # made up by transformers, which does not matter in a pooler
        tensors[name].fill_(float("nan"))
    if missing and torch.isnan(_hidden(model, folder, torch.ones(1, 4, dtype=torch.long))).any():
        raise ConfigurationError(f"the encoder in {folder} lacks {', '.join(missing[:3])}: is it a whole checkpoint?")
    return model


def _hidden(model: Any, folder: Path, ids: Any) -> Any:
    try:
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    except Exception as error:  # whatever a model raises that wants something else than token ids
        raise ConfigurationError(f"the model in {folder} is no encoder of texts: {error!r}") from error


def _most_tokens(model: Any, folder: Path, least: int) -> int:
    """The configured number of positions less those that the architecture keeps to itself, which only trying shows."""
    configured = getattr(model.config, "max_position_embeddings", None) or _MOST_TOKENS
    most = min(_MOST_TOKENS, configured) if configured > 0 else _MOST_TOKENS
    padding = getattr(model.config, "pad_token_id", None) or 0
    token = (padding + 1) % model.config.vocab_size  # padding takes no position
    while True:
        try:
            _hidden(model, folder, torch.full((1, most), token))
        except ConfigurationError:
            if most <= least + 1:
                raise
            most -= 1
        else:
            return most


def _refuse_decoders(model: Any, folder: Path, frame: Sequence[int]) -> None:
    """A token of a decoder does not see what follows it."""
    vocabulary = model.config.vocab_size
    ids = next(random_tokens(frame, vocabulary, [3], np.random.default_rng(2)))
    first, second = torch.from_numpy(ids), torch.from_numpy(ids.copy())
    second[:, -1] = (second[:, -1] + 1) % vocabulary
    if torch.equal(_hidden(model, folder, first)[:, 0], _hidden(model, folder, second)[:, 0]):
        raise ConfigurationError(f"the model in {folder} reads from left to right: it is a decoder, not an encoder")


def _trace(embedding: _Embedding, folder: Path) -> onnx.ModelProto:
    ids = torch.ones(2, 7, dtype=torch.long)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quiet():
        try:
            program = torch.onnx.export(
                embedding,
                (ids, torch.ones_like(ids)),
                dynamo=True,
                dynamic_shapes=(axes, axes),
                input_names=_INPUTS,
                output_names=["pooled"],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # torch's own kinds, and those of the model
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
            raise ConfigurationError(f"torch cannot trace the encoder in {folder}: {reason}") from error
    return _rebuilt(program.model_proto)


def _rebuilt(traced: onnx.ModelProto) -> onnx.ModelProto:
    """With the names of `bert.py`, and without torch's notes at each node: they hold paths of this machine."""
    names = {"embedding": "embedding.tokens", "pooled": "embedding"}  # torch gives the name to the tokens' rows
    for node in traced.graph.node:
        node.ClearField("metadata_props")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    shape = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in _INPUTS]
    dim = traced.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])
    graph = helper.make_graph(traced.graph.node, "encoder", inputs, [output], traced.graph.initializer)
    return helper.make_model(graph, opset_imports=traced.opset_import, ir_version=traced.ir_version)


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _compare(
    graph: onnx.ModelProto, embedding: _Embedding, folder: Path, frame: Sequence[int], vocabulary: int, room: int
) -> None:
    """Padded batches through the graph against each text alone through torch."""
    session, rng = open_session(graph), np.random.default_rng(1)
    for texts, longest in _BATCHES:
        whole = next(random_tokens(frame, vocabulary, [min(longest, room)], rng))[:texts]
        lengths = np.linspace(whole.shape[1], 1, texts).astype(int)
        mask = (np.arange(whole.shape[1]) < lengths[:, None]).astype(np.int64)
        found = run(session, whole * mask, mask)[0]
        for row, length in enumerate(lengths):
            ids = torch.from_numpy(whole[row : row + 1, :length])
            difference = np.abs(embedding(ids, torch.ones_like(ids)).numpy()[0] - found[row]).max()
            if not difference <= LARGEST_DIFFERENCE:  # also for NaN
                raise ConfigurationError(
                    f"the encoder in {folder} cannot be exported: in a batch its embeddings differ by {difference:.1e} "
                    "from those of each text alone"
                )


def _cosine(small: onnx.ModelProto, graph: onnx.ModelProto, frame: Sequence[int], vocabulary: int, room: int) -> float:
    """Mean cosine of the two graphs' embeddings of random texts, less what all texts have in common: with some encoders
    all embeddings point the same way, and a cosine of 0.99 could hide that the difference between texts is lost."""
    sessions = [open_session(small), open_session(graph)]
    lengths = sorted({min(length, room) for length in _OTHER_LENGTHS})
    texts = list(random_tokens(frame, vocabulary, lengths, np.random.default_rng(3)))
    found, wanted = (np.concatenate([run(session, ids)[0] for ids in texts]) for session in sessions)
    found, wanted = found - wanted.mean(axis=0), wanted - wanted.mean(axis=0)
    lengths_of_both = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(np.mean(np.sum(found * wanted, axis=1) / lengths_of_both))
