"""BERT-family encoders as ONNX graphs, written node by node so that no torch is needed.

A graph is `input_ids, attention_mask: int64[batch, tokens] -> embedding: float32[batch, dim]`: the forward pass
(Devlin et al. 2018; RoBERTa starts its positions later), mean pooling over unmasked tokens, L2 norm 1.

The int8 graph quantises activations by ranges fixed at export, after moving the root of each channel's range into the
weights (after SmoothQuant, Xiao et al. 2023). ONNX Runtime's dynamic quantisation takes its ranges from the batch
at hand: the score of a text then moved by up to 0.09 with the texts beside it, too much to certify a threshold for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
Weights = Mapping[str, NDArray[np.float32]]
_Ranges = Mapping[str, NDArray[np.float32]]
# 7 bits: where x86 lacks VNNI, ONNX Runtime's sums saturate with 8-bit weights and scores differ between machines.
_WEIGHT_LEVELS = 63
_HEADROOM = 1.2
_LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)


def build_graph(config: Mapping[str, Any], weights: Weights, ranges: _Ranges | None = None) -> onnx.ModelProto:
    """The graph of an encoder: fp32, or int8 with the ranges of `activation_ranges`; KeyError for a missing weight."""
    return _build(config, _Graph(weights) if ranges is None else _Int8Graph(weights, ranges))


def position_table(config: Mapping[str, Any], weights: Weights) -> NDArray[np.float32]:
    """What is added to the tokens of a text, float32[most tokens of a text, dim]: positions and token type 0."""
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    positions = weights["embeddings.position_embeddings.weight"][first:]
    return np.asarray(positions + weights["embeddings.token_type_embeddings.weight"][0], np.float32)


def activation_ranges(
    config: Mapping[str, Any], weights: Weights, frame: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude float32[channels] that enters each linear layer, by its name.

    Measured on random tokens of the whole vocabulary between the special tokens in `frame` (an encoded empty text):
    fits every language, needs no data, and came closer to fp32 than ranges from real posts.
    """
    g = _Graph(weights)
    model = _build(config, g)
    tensors = sorted(set(g.linear_inputs.values()))
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    largest = dict.fromkeys(tensors, np.float32(0))
    room = len(position_table(config, weights)) - len(frame)
    for length in (length for length in _LENGTHS if length <= room):
        ids = np.tile(np.array(frame, np.int64), (16, 1))
        ids = np.insert(ids, [len(frame) // 2], rng.integers(0, config["vocab_size"], (16, length)), axis=1)
        for name, values in zip(tensors, session.run(tensors, _inputs(ids)), strict=True):
            largest[name] = np.maximum(largest[name], np.abs(values).max(axis=(0, 1)))
    return {layer: np.asarray(largest[tensor], np.float32) for layer, tensor in g.linear_inputs.items()}


def _inputs(ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


class _Graph:
    """Collects nodes and weights; every call returns the name of the new tensor."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.linear_inputs: dict[str, str] = {}

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, *values: float) -> str:
        return self.constant(np.array(values, np.float32))

    def rows(self, table: str, ids: str) -> str:
        return self("Gather", self.constant(self.weights[table]), ids)

    def linear(self, x: str, name: str) -> str:
        self.linear_inputs[name] = x
        product = self("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))
        return self("Add", product, self.constant(self.weights[f"{name}.bias"]))

    def norm(self, x: str, name: str, epsilon: float) -> str:
        scale, bias = self.constant(self.weights[f"{name}.weight"]), self.constant(self.weights[f"{name}.bias"])
        return self("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)


class _Int8Graph(_Graph):
    """The same graph with int8 tables and linear layers; what a row gives does not depend on its batch."""

    def __init__(self, weights: Weights, ranges: _Ranges) -> None:
        super().__init__(weights)
        self.ranges = ranges
        self.quantised: dict[str, str] = {}

    def rows(self, table: str, ids: str) -> str:
        values, scales = _quantise(self.weights[table], 127, axis=1)
        picked = self("Cast", self("Gather", self.constant(values), ids), to=TensorProto.FLOAT)
        return self("Mul", picked, self("Gather", self.constant(scales), ids))

    def linear(self, x: str, name: str) -> str:
        ranges = np.maximum(self.ranges[name] * _HEADROOM, 1e-4)
        smooth = np.sqrt(ranges)
        step = self.constant(np.array((ranges / smooth).max() / 127, np.float32))
        middle = self.constant(np.array(128, np.uint8))
        if x not in self.quantised:  # query, key and value read the same input
            even = self("Mul", x, self.constant((1 / smooth).astype(np.float32)))
            self.quantised[x] = self("QuantizeLinear", even, step, middle)
        kernel, scales = _quantise(self.weights[f"{name}.weight"].T * smooth[:, None], _WEIGHT_LEVELS, axis=0)
        bias = self.constant(self.weights[f"{name}.bias"])
        inputs = (self.quantised[x], self.constant(kernel), step, self.constant(scales[0]), middle, "", bias)
        return self("MatMulIntegerToFloat", *inputs, domain="com.microsoft")


def _quantise(values: NDArray[Any], levels: int, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 with one scale along `axis`, and the scales with that axis kept."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / levels
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)


def _build(config: Mapping[str, Any], g: _Graph) -> onnx.ModelProto:
    table = g.constant(position_table(config, g.weights))
    # Slice, because ONNX Runtime mis-fuses Range with Gather.
    offsets = g("Slice", table, g.ints(0), g("Shape", "input_ids", start=1, end=2), g.ints(0))
    x = g("Add", g.rows("embeddings.word_embeddings.weight", "input_ids"), offsets)
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
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
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
    attention = g("Add", g.linear(joined, f"{name}.attention.output.dense"), x)
    y = g.norm(attention, f"{name}.attention.output.LayerNorm", epsilon)
    inner = g("Gelu", g.linear(y, f"{name}.intermediate.dense"))
    return g.norm(g("Add", g.linear(inner, f"{name}.output.dense"), y), f"{name}.output.LayerNorm", epsilon)
