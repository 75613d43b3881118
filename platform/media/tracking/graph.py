"""Runs a converted network: a short list of nodes over NCHW tensors, on any device and batch size.

The node list travels as JSON in the metadata of the safetensors file that holds the weights (written by
`convert/from_mediapipe.py`). The three `transform` operators are those of MediaPipe's attention mesh (Grishchenko et al.,
"Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", 2020), which crop feature maps around lips and eyes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Node = Mapping[str, Any]
_ACTIVATIONS: Mapping[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "relu": torch.relu,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
}


class Graph(nn.Module):
    """One network. `size` is the side of its square input in pixels."""

    def __init__(self, description: str, weights: Mapping[str, Tensor]) -> None:
        """description: the JSON node list. weights: float16 or float32, kept as float32."""
        super().__init__()
        graph = json.loads(description)
        self.size: int = graph["size"]
        self._input: int = graph["input"]
        self._outputs: dict[str, int] = graph["outputs"]
        self._nodes: list[Node] = graph["nodes"]
        self._last_use = _last_uses(self._nodes, self._outputs.values())
        for name, weight in weights.items():
            # Channels last is the faster layout for small depthwise convolutions.
            layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
            self.register_buffer(name, weight.float().contiguous(memory_format=layout), persistent=False)

    def subsets(self) -> list[list[int]]:
        """The landmark numbers that each refining branch crops around and then replaces, in node order."""
        return [node["subset"] for node in self._nodes if node["op"] == "landmark_matrix"]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """image: float32 (N, 3, size, size) in the range the network was trained on -> its named outputs, batch first."""
        values, weights = {self._input: image.contiguous(memory_format=torch.channels_last)}, cast(Buffers, self._buffers)
        for index, node in enumerate(self._nodes):
            inputs = [values[number] for number in node["in"]]
            values[node["out"]] = _OPERATORS[node["op"]](weights, node, inputs)
            for number in self._last_use[index]:
                del values[number]
        return {name: values[number] for name, number in self._outputs.items()}


Buffers = Mapping[str, Tensor]
Operator = Callable[[Buffers, Node, Sequence[Tensor]], Tensor]


def _last_uses(nodes: Sequence[Node], outputs: Any) -> list[list[int]]:
    """For each node the values that nothing reads after it, so that memory stays that of the widest layer."""
    kept, uses = set(outputs), []
    for node in reversed(nodes):
        last = [number for number in dict.fromkeys(node["in"]) if number not in kept]
        kept.update(last)
        uses.append(last)
    return uses[::-1]


def _conv(weights: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    left, right, top, bottom = node["pad"]
    image, pad = inputs[0], (top, left)
    if left != right or top != bottom:  # TensorFlow's SAME rule at stride 2
        image, pad = F.pad(image, (left, right, top, bottom)), (0, 0)
    kernel, bias = weights[node["weight"]], weights[node["bias"]]
    return _ACTIVATIONS[node.get("act")](F.conv2d(image, kernel, bias, node["stride"], pad, 1, node["groups"]))


def _conv_transpose(weights: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    kernel, bias = weights[node["weight"]], weights[node["bias"]]
    return _ACTIVATIONS[node.get("act")](F.conv_transpose2d(inputs[0], kernel, bias, node["stride"]))


def _add(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return _ACTIVATIONS[node.get("act")](inputs[0] + inputs[1])


def _mul(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * inputs[1]


def _scale(weights: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * weights[node["weight"]]


def _act(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return _ACTIVATIONS[node["act"]](inputs[0])


def _prelu(weights: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return F.prelu(inputs[0], weights[node["weight"]])


def _pad_channels(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return F.pad(inputs[0], (0, 0, 0, 0, 0, node["count"]))


def _max_pool(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return F.max_pool2d(inputs[0], node["size"])


def _global_mean(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].mean(dim=(2, 3), keepdim=True)


def _resize(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return F.interpolate(inputs[0], size=node["size"], mode="bilinear", align_corners=False)


def _depth_to_space(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    # TensorFlow's channel order is (row, column, channel); torch's pixel_shuffle expects (channel, row, column).
    n, c, h, w = inputs[0].shape
    block = node["block"]
    split = inputs[0].reshape(n, block, block, c // block**2, h, w)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(n, c // block**2, h * block, w * block)


def _reshape(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    image = inputs[0]
    if image.ndim == 4:  # the published order is channels last
        image = image.permute(0, 2, 3, 1)
    return image.reshape(image.shape[0], *node["shape"])


def _concat(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(inputs), dim=node["axis"])


def _landmark_matrix(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """Landmarks (N, 468, 3) in feature pixels -> (N, 4, 4) that maps crop pixels to feature pixels.

    The crop is the box of the subset, turned so that the two `eyes` landmarks are level, enlarged by `scale`.
    """
    points = inputs[0][..., :2]
    first, second = (points[:, index] for index in node["eyes"])
    angle = torch.atan2(second[:, 1] - first[:, 1], second[:, 0] - first[:, 0]) - node["rotation"]
    cos, sin = torch.cos(angle), torch.sin(angle)
    to_level = torch.stack([cos, sin, -sin, cos], dim=-1).reshape(-1, 2, 2)
    level = points[:, node["subset"]] @ to_level.transpose(1, 2)
    low, high = level.amin(dim=1), level.amax(dim=1)
    size = low.new_tensor(node["size"])
    step = (high - low) * low.new_tensor(node["scale"]) / size  # (N, 2): feature pixels per crop pixel
    linear = to_level.transpose(1, 2) * step[:, None, :]
    centre = (to_level.transpose(1, 2) @ ((low + high) / 2)[..., None])[..., 0]
    matrix = torch.eye(4, dtype=points.dtype, device=points.device).repeat(points.shape[0], 1, 1)
    matrix[:, :2, :2] = linear
    matrix[:, :2, 3] = centre - (linear @ (size / 2)[:, None])[..., 0]
    return matrix


def _transform_image(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """Samples (N, C, H, W) at the pixels of the crop; what lies outside the image is 0, without a blend at its border."""
    image, matrix = inputs
    width, height = node["size"]
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=image.dtype, device=image.device) + 0.5,
        torch.arange(width, dtype=image.dtype, device=image.device) + 0.5,
        indexing="ij",
    )
    points = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2)
    source = points @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 3] - 0.5
    limit = source.new_tensor([image.shape[3] - 1, image.shape[2] - 1])
    inside = ((source >= 0) & (source <= limit)).all(dim=-1).reshape(-1, 1, height, width)
    grid = (source / limit * 2 - 1).reshape(-1, height, width, 2)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True) * inside


def _transform_landmarks(_: Buffers, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    points, matrix = inputs
    return points @ matrix[:, :2, :2].transpose(1, 2) + matrix[:, None, :2, 3]


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
