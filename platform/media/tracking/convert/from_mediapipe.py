"""Converts MediaPipe's face networks (Apache-2.0) to safetensors with the graph as metadata.

    python from_mediapipe.py mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl ../weights

The input is the wheel `mediapipe==0.10.21` from PyPI, the last release that carries these files; it is not installed. The
SHA-256 of each network inside the wheel is checked, anything else is refused. Needs the PyPI packages `tflite`,
`flatbuffers`, `numpy` and `safetensors`, which the product itself does not depend on (except the last two).

What is written is a list of nodes in NCHW terms (see `media.tracking.graph`): activations are fused into the node before
them, padding into convolutions, constants are dequantised, sparse weights made dense. Weights stay in float16, as published.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tflite_reader import (  # type: ignore[import-not-found]
    FlatGraph,
    Operator,
    custom_options,
    read_flat_graph,
)

Node = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A network in the wheel. outputs: our name of each result and the TFLite tensor number it is read from."""

    path: str
    sha256: str
    outputs: dict[str, int]


SOURCES = {
    "face_short_range": Source(
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        {"boxes": 175, "scores": 174},
    ),
    "face_full_range": Source(
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        {"boxes": 576, "scores": 562},
    ),
    "face_landmarks": Source(
        "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
        "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
        {
            "mesh": 187,
            "lips": 711,
            "right_eye": 712,  # the person's right; published as "left", as seen in the image
            "right_iris": 713,
            "left_eye": 714,
            "left_iris": 715,
            "face_flag": 710,
        },
    ),
    "selfie_matte": Source(
        "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        {"alpha": 249},
    ),
}
_ACTIVATIONS = {"RELU": "relu", "HARD_SWISH": "hardswish", "LOGISTIC": "sigmoid"}
_FUSED_RELU = 1
_SAME = 0


@dataclass
class Builder:
    """Collects the nodes and weights of one network."""

    flat: FlatGraph
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    spatial_pads: dict[int, tuple[int, list[int]]] = field(default_factory=dict)

    def add(self, op: str, operator: Operator, inputs: list[int], **attributes: Any) -> None:
        """Appends a node that writes the operator's only output."""
        self.nodes.append({"op": op, "in": inputs, "out": operator.outputs[0], **attributes})

    def weight(self, number: int, value: np.ndarray) -> str:
        """Stores a constant under a stable name, in float16 (the published precision), and returns the name."""
        name = f"w{number}"
        stored = np.ascontiguousarray(value.astype(np.float16))
        if not np.array_equal(stored.astype(np.float32), value.astype(np.float32)):
            stored = np.ascontiguousarray(value.astype(np.float32))
        self.weights[name] = stored
        return name


def convert_convolution(builder: Builder, operator: Operator) -> None:
    """CONV_2D and DEPTHWISE_CONV_2D: weights to OIHW, explicit or SAME padding as [left, right, top, bottom]."""
    source, kernel_number, bias_number = operator.inputs
    kernel = builder.flat.constants[kernel_number]
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
    stride = operator.options.StrideH()
    source, pad = builder.spatial_pads.get(source, (source, [0, 0, 0, 0]))
    if operator.options.Padding() == _SAME:
        pad = same_padding(builder.flat.shapes[source], kernel.shape[2:], stride)
    builder.add(
        "conv",
        operator,
        [source],
        weight=builder.weight(kernel_number, kernel),
        bias=builder.weight(bias_number, builder.flat.constants[bias_number]),
        stride=stride,
        pad=pad,
        groups=kernel.shape[0] if depthwise else 1,
        act="relu" if operator.options.FusedActivationFunction() == _FUSED_RELU else None,
    )


def same_padding(shape: tuple[int, ...], kernel: tuple[int, ...], stride: int) -> list[int]:
    """TensorFlow's SAME rule: the odd pixel of padding goes to the right and the bottom."""
    totals = [max((-(-size // stride) - 1) * stride + k - size, 0) for size, k in zip(shape[1:3], kernel, strict=True)]
    (top, left), (bottom, right) = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return [left, right, top, bottom]


def convert_pad(builder: Builder, operator: Operator) -> None:
    """PAD: over space it joins the next convolution, over channels it stays a node."""
    pads = builder.flat.constants[operator.inputs[1]]
    if pads[3].any():
        builder.add("pad_channels", operator, [operator.inputs[0]], count=int(pads[3][1]))
    else:
        sides = [int(n) for n in (*pads[2], *pads[1])]
        builder.spatial_pads[operator.outputs[0]] = (operator.inputs[0], sides)


def convert_arithmetic(builder: Builder, operator: Operator) -> None:
    """ADD and MUL; a constant factor becomes a weight."""
    op = operator.name.lower()
    dynamic = [i for i in operator.inputs if i not in builder.flat.constants]
    if len(dynamic) == len(operator.inputs):
        fused = operator.options is not None and operator.options.FusedActivationFunction() == _FUSED_RELU
        builder.add(op, operator, dynamic, act="relu" if fused else None)
        return
    constant = next(i for i in operator.inputs if i in builder.flat.constants)
    builder.add("scale", operator, dynamic, weight=builder.weight(constant, builder.flat.constants[constant]))


def convert_activation(builder: Builder, operator: Operator) -> None:
    """An activation joins the node that made its input if nobody else reads that; else it is a node of its own."""
    source = operator.inputs[0]
    readers = sum(source in other.inputs for other in builder.flat.operators)
    last = next((node for node in reversed(builder.nodes) if node["out"] == source), None)
    act = _ACTIVATIONS[operator.name]
    if last is not None and readers == 1 and last["op"] in ("conv", "conv_transpose", "add") and last["act"] is None:
        last["act"], last["out"] = act, operator.outputs[0]
        return
    builder.add("act", operator, [source], act=act)


def convert_prelu(builder: Builder, operator: Operator) -> None:
    """PRELU with one slope per channel."""
    source, slope = operator.inputs
    builder.add("prelu", operator, [source], weight=builder.weight(slope, builder.flat.constants[slope].reshape(-1)))


def convert_pool(builder: Builder, operator: Operator) -> None:
    """MAX_POOL_2D over non-overlapping windows; AVERAGE_POOL_2D over the whole image."""
    size = operator.options.FilterHeight()
    if operator.name == "MAX_POOL_2D":
        builder.add("max_pool", operator, [operator.inputs[0]], size=size)
        return
    if builder.flat.shapes[operator.inputs[0]][1] != size:
        raise SystemExit("an average pool that is not global: extend the converter")
    builder.add("global_mean", operator, [operator.inputs[0]])


def convert_transposed_convolution(builder: Builder, operator: Operator) -> None:
    """MediaPipe's Convolution2DTransposeBias, here always 2x2 with stride 2."""
    source, kernel_number, bias_number = operator.inputs
    kernel = builder.flat.constants[kernel_number].transpose(3, 0, 1, 2)  # OHWI -> IOHW
    weight, bias = builder.weight(kernel_number, kernel), builder.weight(bias_number, builder.flat.constants[bias_number])
    builder.add("conv_transpose", operator, [source], weight=weight, bias=bias, stride=kernel.shape[2], act=None)


def convert_landmark_matrix(builder: Builder, operator: Operator) -> None:
    """MediaPipe's Landmarks2TransformMatrix, version 2."""
    options = custom_options(operator)
    builder.add(
        "landmark_matrix",
        operator,
        list(operator.inputs),
        eyes=[options["left_rotation_idx"], options["right_rotation_idx"]],
        subset=list(options["subset_idxs"]),
        scale=[options["scale_x"], options["scale_y"]],
        size=[options["output_width"], options["output_height"]],
        rotation=options["target_rotation_radians"],
    )


def convert_shape(builder: Builder, operator: Operator) -> None:
    """Operators that only move numbers: reshape, concatenate, depth to space, resize."""
    source = operator.inputs[0]
    shape = list(builder.flat.shapes[operator.outputs[0]])
    if operator.name == "RESHAPE":
        if len(shape) < 4:  # back to 4 dimensions happens only at the outputs, which are named before it
            builder.add("reshape", operator, [source], shape=shape[1:])
    elif operator.name == "CONCATENATION":
        builder.add("concat", operator, list(operator.inputs), axis=operator.options.Axis())
    elif operator.name == "DEPTH_TO_SPACE":
        builder.add("depth_to_space", operator, [source], block=operator.options.BlockSize())
    else:
        builder.add("resize", operator, [source], size=shape[1:3])


def convert_transform(builder: Builder, operator: Operator) -> None:
    """MediaPipe's TransformTensorBilinear (version 2) and TransformLandmarks."""
    if operator.name == "TransformLandmarks":
        builder.add("transform_landmarks", operator, list(operator.inputs))
        return
    options = custom_options(operator)
    size = [options["output_width"], options["output_height"]]
    builder.add("transform_image", operator, list(operator.inputs), size=size)


CONVERTERS: dict[str, Callable[[Builder, Operator], None]] = {
    "CONV_2D": convert_convolution,
    "DEPTHWISE_CONV_2D": convert_convolution,
    "PAD": convert_pad,
    "ADD": convert_arithmetic,
    "MUL": convert_arithmetic,
    "RELU": convert_activation,
    "HARD_SWISH": convert_activation,
    "LOGISTIC": convert_activation,
    "PRELU": convert_prelu,
    "MAX_POOL_2D": convert_pool,
    "AVERAGE_POOL_2D": convert_pool,
    "RESHAPE": convert_shape,
    "CONCATENATION": convert_shape,
    "DEPTH_TO_SPACE": convert_shape,
    "RESIZE_BILINEAR": convert_shape,
    "Convolution2DTransposeBias": convert_transposed_convolution,
    "Landmarks2TransformMatrix": convert_landmark_matrix,
    "TransformTensorBilinear": convert_transform,
    "TransformLandmarks": convert_transform,
}


def build(flat: FlatGraph, outputs: dict[str, int]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The graph as JSON-ready values and its weights; nodes that no named output needs are dropped."""
    builder = Builder(flat)
    for operator in flat.operators:
        if operator.name != "STRIDED_SLICE":  # takes the whole of the mesh; the output is named before it
            CONVERTERS[operator.name](builder, operator)
    needed, kept = set(outputs.values()), []
    for node in reversed(builder.nodes):
        if node["out"] in needed:
            needed.update(node["in"])
            kept.append({key: value for key, value in node.items() if value is not None})
    used = {node[key] for node in kept for key in ("weight", "bias") if key in node}
    graph = {"input": flat.inputs[0], "size": flat.shapes[flat.inputs[0]][1], "outputs": outputs, "nodes": kept[::-1]}
    return graph, {name: value for name, value in builder.weights.items() if name in used}


def convert(wheel: Path, destination: Path) -> None:
    """Writes one safetensors file per network and `SHA256SUMS` beside them."""
    destination.mkdir(parents=True, exist_ok=True)
    lines = []
    with zipfile.ZipFile(wheel) as archive:
        for name, source in SOURCES.items():
            data = archive.read(source.path)
            found = hashlib.sha256(data).hexdigest()
            if found != source.sha256:
                raise SystemExit(f"{source.path} has SHA-256 {found}, expected {source.sha256}; use mediapipe==0.10.21")
            graph, weights = build(read_flat_graph(data), source.outputs)
            target = destination / f"{name}.safetensors"
            graph["source_sha256"] = source.sha256
            save_file(weights, target, metadata={"graph": json.dumps(graph, separators=(",", ":"), default=int)})
            target.chmod(0o644)
            lines.append(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}\n")
    (destination / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("destination", type=Path)
    arguments = parser.parse_args()
    convert(arguments.wheel, arguments.destination)
