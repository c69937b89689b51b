"""BERT-family encoders as ONNX graphs, written node by node so that no torch is needed.

A graph is `input_ids, attention_mask: int64[batch, tokens] -> embedding: float32[batch, dim]`: the forward pass
(Devlin et al. 2018; RoBERTa starts its positions later), mean pooling over unmasked tokens, L2 norm 1.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
Weights = Mapping[str, NDArray[np.float32]]


def build_graph(config: Mapping[str, Any], weights: Weights) -> onnx.ModelProto:
    """The graph of an encoder in fp32; KeyError for a missing weight."""
    g = _Graph(weights)
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


def position_table(config: Mapping[str, Any], weights: Weights) -> NDArray[np.float32]:
    """The constant added to the tokens of a text, float32[most tokens of a text, dim]: positions and token type 0."""
    first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    positions = weights["embeddings.position_embeddings.weight"][first:]
    return np.asarray(positions + weights["embeddings.token_type_embeddings.weight"][0], np.float32)


class _Graph:
    """Collects nodes and weights; every call returns the name of the new tensor."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

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
        product = self("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))
        return self("Add", product, self.constant(self.weights[f"{name}.bias"]))

    def norm(self, x: str, name: str, epsilon: float) -> str:
        scale, bias = self.constant(self.weights[f"{name}.weight"]), self.constant(self.weights[f"{name}.bias"])
        return self("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)


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
