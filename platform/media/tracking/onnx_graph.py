"""Translates a converted network into an ONNX model: ONNX Runtime needs a third of torch's time on one CPU core.

Three forms let it keep its blocked channel layout from the first convolution to the last: PReLU as two depthwise
convolutions, wider skip connections as a convolution with the identity, and crops as matrix products.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

Node = Mapping[str, Any]
Array = NDArray[np.float32]
_OPSET, _IR_VERSION = 18, 8  # what every supported release of ONNX Runtime reads
_ACTIVATIONS = {"relu": "Relu", "hardswish": "HardSwish", "sigmoid": "Sigmoid"}
# From (cos, sin) of the level line to the matrix that turns row vectors by it, and to that matrix transposed.
_TURN, _TURN_BACK = ((1, 0, 0, 1), (0, 1, -1, 0)), ((1, 0, 0, 1), (0, -1, 1, 0))


def translate(description: str, weights: Mapping[str, Tensor]) -> bytes:
    """The node list that `graph.Graph` reads, with its weights, as a serialised ONNX model.

    Its input is `image`, float32 (N, 3, size, size); its outputs bear their names and come in the order of the list.
    """
    graph = json.loads(description)
    writer = _Writer(weights)
    values, channels = {graph["input"]: "image"}, {graph["input"]: 3}
    for node in graph["nodes"]:
        sources = [values[number] for number in node["in"]]
        writer.channels = channels[node["in"][0]]
        values[node["out"]] = _OPERATORS[node["op"]](writer, node, sources)
        channels[node["out"]] = writer.channels
    for name, number in graph["outputs"].items():
        writer.nodes.append(helper.make_node("Identity", [values[number]], [name]))
    return writer.model(list(graph["outputs"]), graph["size"])


class _Writer:
    """The model as it grows. channels: those of the first input of the current node, then those of its output."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = {name: weight.float().numpy() for name, weight in weights.items()}
        self.nodes: list[NodeProto] = []
        self.channels = 0
        self._constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Appends a node; returns the name of its output."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any, kind: type[np.generic] = np.float32) -> str:
        """Stores an array; returns its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=kind), name))
        return name

    def integers(self, *values: int) -> str:
        """Stores a list of whole numbers: a shape, or axes."""
        return self.constant(values, np.int64)

    def activate(self, name: str, act: str | None) -> str:
        """The value after an activation; None leaves it as it is."""
        return self.add(_ACTIVATIONS[act], name) if act else name

    def model(self, outputs: Sequence[str], size: int) -> bytes:
        """The finished model."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "network", [image], results, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


Operator = Callable[[_Writer, Node, Sequence[str]], str]


def _conv(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    left, right, top, bottom = node["pad"]
    kernel, bias = writer.weights[node["weight"]], writer.weights[node["bias"]]
    writer.channels = kernel.shape[0]
    parameters = writer.constant(kernel), writer.constant(bias)
    strides, pads = [node["stride"]] * 2, [top, left, bottom, right]
    result = writer.add("Conv", inputs[0], *parameters, strides=strides, pads=pads, group=node["groups"])
    return writer.activate(result, node.get("act"))


def _conv_transpose(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    kernel, bias = writer.weights[node["weight"]], writer.weights[node["bias"]]
    writer.channels = kernel.shape[1]
    result = writer.add("ConvTranspose", inputs[0], writer.constant(kernel), writer.constant(bias), strides=[node["stride"]] * 2)
    return writer.activate(result, node.get("act"))


def _add(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    return writer.activate(writer.add("Add", *inputs), node.get("act"))


def _mul(writer: _Writer, _: Node, inputs: Sequence[str]) -> str:
    return writer.add("Mul", *inputs)


def _scale(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    weight = writer.weights[node["weight"]]
    if weight.shape[-2:] == (4, 4):  # of a crop's matrix, which is kept as (N, 3, 2): see `_landmark_matrix`
        weight = weight[..., :2, [0, 1, 3]].swapaxes(-1, -2)
    return writer.add("Mul", inputs[0], writer.constant(weight))


def _act(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    return writer.activate(inputs[0], node["act"])


def _prelu(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    """x + (1 - slope) * relu(-x)."""
    slope = writer.weights[node["weight"]].reshape(-1, 1, 1, 1)
    minus = writer.constant(-np.ones_like(slope))
    negative = writer.add("Relu", writer.add("Conv", inputs[0], minus, group=len(slope)))
    return writer.add("Add", writer.add("Conv", negative, writer.constant(1 - slope), group=len(slope)), inputs[0])


def _pad_channels(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    before = writer.channels
    writer.channels += node["count"]
    return writer.add("Conv", inputs[0], writer.constant(np.eye(writer.channels, before)[:, :, None, None]))


def _max_pool(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    return writer.add("MaxPool", inputs[0], kernel_shape=[node["size"]] * 2, strides=[node["size"]] * 2)


def _global_mean(writer: _Writer, _: Node, inputs: Sequence[str]) -> str:
    return writer.add("GlobalAveragePool", inputs[0])


def _resize(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    size = writer.integers(*node["size"])
    mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "axes": [2, 3]}
    return writer.add("Resize", inputs[0], "", "", size, **mode)


def _depth_to_space(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    writer.channels //= node["block"] ** 2
    return writer.add("DepthToSpace", inputs[0], blocksize=node["block"], mode="DCR")


def _reshape(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    flat = writer.add("Transpose", inputs[0], perm=[0, 2, 3, 1])  # the published order is channels last
    return writer.add("Reshape", flat, writer.integers(0, *node["shape"]))


def _concat(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    return writer.add("Concat", *inputs, axis=node["axis"])


def _landmark_matrix(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    """Landmarks (N, 468, 3) -> (N, 3, 2) that takes crop pixels (x, y, 1), as a row, to feature pixels."""
    add, constant = writer.add, writer.constant
    zero, two, last = writer.integers(0), writer.integers(2), writer.integers(-1)
    points = add("Slice", inputs[0], zero, two, last)
    first, second = (add("Gather", points, writer.integers(index), axis=1) for index in node["eyes"])
    across = add("Add", add("Sub", second, first), constant([1e-9, 0]))  # two equal points are level
    level = add("Div", across, add("ReduceL2", across, last))
    cos, sin = np.cos(node["rotation"]), np.sin(node["rotation"])
    level = add("MatMul", level, constant([[cos, -sin], [sin, cos]]))  # less the target's angle
    shape = writer.integers(0, 2, 2)
    turn, back = (add("Reshape", add("MatMul", level, constant(rows)), shape) for rows in (_TURN, _TURN_BACK))
    subset = add("MatMul", add("Gather", points, writer.integers(*node["subset"]), axis=1), back)
    axis = writer.integers(1)
    low, high = add("ReduceMin", subset, axis), add("ReduceMax", subset, axis)
    size = np.asarray(node["size"], dtype=np.float32)
    step = add("Mul", add("Sub", high, low), constant(np.asarray(node["scale"]) / size))
    linear = add("Mul", turn, add("Transpose", step, perm=[0, 2, 1]))
    centre = add("MatMul", add("Mul", add("Add", low, high), constant(0.5)), turn)
    origin = add("Sub", centre, add("MatMul", constant(size[None, None] / 2), linear))
    return add("Concat", linear, origin, axis=1)


def _transform_image(writer: _Writer, node: Node, inputs: Sequence[str]) -> str:
    """Samples at the pixels of the crop; what lies outside the image is 0, without a blend at its border."""
    add, constant = writer.add, writer.constant
    image, matrix = inputs
    width, height = node["size"]
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(1, -1, 3)
    shape = add("Shape", image, start=2)
    limit = add("Sub", add("Cast", add("Gather", shape, writer.integers(1, 0)), to=TensorProto.FLOAT), constant(1))
    source = add("Sub", add("MatMul", constant(pixels), matrix), constant(0.5))
    place = add("Sub", add("Div", add("Mul", source, constant(2)), limit), constant(1))
    furthest = add("ReduceMax", add("Abs", place), writer.integers(2))
    inside = add("Cast", add("LessOrEqual", furthest, constant(1)), to=TensorProto.FLOAT)
    grid = add("Reshape", place, writer.integers(0, height, width, 2))
    sampled = add("GridSample", image, grid, mode="bilinear", padding_mode="zeros", align_corners=1)
    return add("Mul", sampled, add("Reshape", inside, writer.integers(0, 1, height, width)))


def _transform_landmarks(writer: _Writer, _: Node, inputs: Sequence[str]) -> str:
    points, matrix = inputs
    zero, two, three, axis = (writer.integers(number) for number in (0, 2, 3, 1))
    turned = writer.add("MatMul", points, writer.add("Slice", matrix, zero, two, axis))
    return writer.add("Add", turned, writer.add("Slice", matrix, two, three, axis))


_OPERATORS: Mapping[str, Operator] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "add": _add,
    "mul": _mul,
    "scale": _scale,
    "act": _act,
    "prelu": _prelu,
    "pad_channels": _pad_channels,
    "max_pool": _max_pool,
    "global_mean": _global_mean,
    "resize": _resize,
    "depth_to_space": _depth_to_space,
    "reshape": _reshape,
    "concat": _concat,
    "landmark_matrix": _landmark_matrix,
    "transform_image": _transform_image,
    "transform_landmarks": _transform_landmarks,
}
