"""int8 for an encoder that is an ONNX graph in fp32, as in ADR 0007: what a row gives does not depend on its batch.

Activations have ranges that are fixed at export, after moving the root of each channel's range into the weights (after
SmoothQuant, Xiao et al. 2023). ONNX Runtime's `quantize_static` has fixed ranges, too, but one for all channels: on the
default encoder the mean cosine to fp32 was 0.977 with it and 0.992 with this, at the same size.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# 7 bits: where x86 lacks VNNI, ONNX Runtime's sums saturate with 8-bit weights and scores differ between machines.
_WEIGHT_LEVELS = 63
_HEADROOM = 1.2
_LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)
_ROWS = 16
Tokens = NDArray[np.int64]


def random_tokens(
    frame: Sequence[int], vocabulary: int, lengths: Sequence[int], rng: np.random.Generator
) -> Iterator[Tokens]:
    """Of each length 16 texts int64[16, length + len(frame)]: random tokens between the special tokens in `frame`."""
    for length in lengths:
        rows = np.tile(np.array(frame, np.int64), (_ROWS, 1))
        yield np.insert(rows, [len(frame) // 2], rng.integers(0, vocabulary, (_ROWS, length)), axis=1)


def run(session: onnxruntime.InferenceSession, ids: Tokens, mask: Tokens | None = None) -> list[NDArray[np.float32]]:
    """All outputs for token ids int64[n, tokens]; without a mask nothing is padding."""
    return list(session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids) if mask is None else mask}))


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Raises ONNX Runtime's errors for a model that is none."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def to_int8(model: onnx.ModelProto, frame: Sequence[int], vocabulary: int, room: int) -> onnx.ModelProto:
    """The model with int8 linear layers and word embeddings: every MatMul with a constant matrix, every table that
    `input_ids` picks from.

    Ranges are measured on random tokens of the vocabulary between the special tokens in `frame`, `room` at most.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = {node.output[0]: node for node in model.graph.node if _is_linear(node, constants)}
    lengths = [length for length in _LENGTHS if length <= room]
    texts = random_tokens(frame, vocabulary, lengths, np.random.default_rng(0))
    rewriting = _Rewriting(constants, _ranges(model, {node.input[0] for node in layers.values()}, texts))
    biases = _biases(model, layers, constants)
    added = {addition.output[0] for addition, _ in biases.values()}
    for node in model.graph.node:
        if node.output[0] in layers:
            rewriting.linear(node, *biases.get(node.output[0], (node, "")))
        elif node.output[0] in added:
            continue
        elif node.op_type == "Gather" and node.input[1] == "input_ids" and node.input[0] in constants:
            rewriting.table(node)
        else:
            rewriting.nodes.append(node)
    return rewriting.model(model)


def _is_linear(node: onnx.NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    if node.op_type != "MatMul" or node.input[0] in constants or node.input[1] not in constants:
        return False
    matrix = constants[node.input[1]]
    return len(matrix.dims) == 2 and matrix.data_type == TensorProto.FLOAT


def _biases(
    model: onnx.ModelProto, layers: Mapping[str, onnx.NodeProto], constants: Mapping[str, TensorProto]
) -> dict[str, tuple[onnx.NodeProto, str]]:
    """The Add of a constant vector that alone reads what a layer gives, and the vector, by the layer's output."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    found = {}
    for y, layer in layers.items():
        if len(readers[y]) == 1 and readers[y][0].op_type == "Add":
            (bias,) = [name for name in readers[y][0].input if name != y]
            if bias in constants and list(constants[bias].dims) == list(constants[layer.input[1]].dims[1:]):
                found[y] = readers[y][0], bias
    return found


def _ranges(model: onnx.ModelProto, names: set[str], texts: Iterator[Tokens]) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude float32[channels] of each tensor [..., channels]."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    ordered = sorted(names)
    for number, name in enumerate(ordered):  # reduced in the graph: whole activations would take gigabytes
        size, channels, largest = f"probe.{number}.a", f"probe.{number}.b", f"probe.{number}"
        probe.graph.node.extend([
            helper.make_node("Abs", [name], [size]),
            helper.make_node("Transpose", [size], [channels]),  # reverses the axes: channels come first
            helper.make_node("Flatten", [channels], [f"{channels}.flat"], axis=1),
            helper.make_node("ReduceMax", [f"{channels}.flat", "probe.axis"], [largest], keepdims=0),
        ])  # fmt: skip
        probe.graph.output.append(helper.make_tensor_value_info(largest, TensorProto.FLOAT, None))
    probe.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "probe.axis"))
    measuring = open_session(probe)
    found = [run(measuring, ids) for ids in texts]
    return {name: np.max([each[number] for each in found], axis=0) for number, name in enumerate(ordered)}


class _Rewriting:
    """Collects the nodes of the int8 graph and the constants that they add."""

    def __init__(self, constants: dict[str, TensorProto], ranges: dict[str, NDArray[np.float32]]) -> None:
        self.constants, self.ranges = dict(constants), ranges
        self.nodes: list[onnx.NodeProto] = []
        self.quantised: dict[str, tuple[str, str]] = {}
        self.middle = self.constant("int8.middle", np.array(128, np.uint8))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def linear(self, node: onnx.NodeProto, last: onnx.NodeProto, bias: str) -> None:
        """`last` is the node that adds the bias, or `node` itself and the bias is empty."""
        x, matrix, y = node.input[0], numpy_helper.to_array(self.constants[node.input[1]]), last.output[0]
        ranges = np.maximum(self.ranges[x] * _HEADROOM, 1e-4)
        smooth = np.sqrt(ranges)
        if x not in self.quantised:  # query, key and value read the same input
            step = self.constant(f"{x}.step", np.array((ranges / smooth).max() / 127, np.float32))
            even = self.add("Mul", [x, self.constant(f"{x}.smooth", (1 / smooth).astype(np.float32))], f"{x}.even")
            self.quantised[x] = self.add("QuantizeLinear", [even, step, self.middle], f"{x}.int8"), step
        x, step = self.quantised[x]
        kernel, scales = _quantise(matrix * smooth[:, None], _WEIGHT_LEVELS, axis=0)
        quantised = [self.constant(f"{y}.kernel", kernel), step, self.constant(f"{y}.scales", scales[0]), self.middle]
        self.add("MatMulIntegerToFloat", [x, *quantised, *(["", bias] if bias else [])], y, domain="com.microsoft")

    def table(self, node: onnx.NodeProto) -> None:
        rows, ids, y = numpy_helper.to_array(self.constants[node.input[0]]), node.input[1], node.output[0]
        values, scales = _quantise(rows, 127, axis=1)
        picked = self.add("Gather", [self.constant(f"{y}.values", values), ids], f"{y}.picked")
        wide = self.add("Cast", [picked], f"{y}.wide", to=TensorProto.FLOAT)
        scale = self.add("Gather", [self.constant(f"{y}.scales", scales), ids], f"{y}.scale")
        self.add("Mul", [wide, scale], y)

    def model(self, original: onnx.ModelProto) -> onnx.ModelProto:
        used = {name for node in self.nodes for name in node.input}
        constants = [tensor for name, tensor in self.constants.items() if name in used]
        graph = helper.make_graph(self.nodes, "encoder", original.graph.input, original.graph.output, constants)
        opsets = [*original.opset_import, helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=original.ir_version)


def _quantise(values: NDArray[np.float32], levels: int, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 with one scale along `axis`, and the scales with that axis kept."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / levels
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)
