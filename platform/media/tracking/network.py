"""What a loaded network is: `graph.Graph` on a GPU, ONNX Runtime on the CPU, with one set of weights and the same results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor

from media.tracking.graph import Graph
from media.tracking.onnx_graph import translate


class Network(Protocol):
    """A converted network. `size` is the side of its square input in pixels."""

    size: int

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """image: float32 (N, 3, size, size) in the range the network was trained on -> its named outputs, batch first."""

    def subsets(self) -> list[list[int]]:
        """See `Graph.subsets`."""


class CpuNetwork:
    """One network on one core. Fastest with one picture at a time, which then stays in the core's cache."""

    def __init__(self, description: str, weights: Mapping[str, Tensor]) -> None:
        """See `Graph`."""
        graph = Graph(description, {})
        self.size, self._subsets = graph.size, graph.subsets()
        options = onnxruntime.SessionOptions()
        # one thread: beside another busy process a second one gains nothing and spins
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = translate(description, weights)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """See `Network`."""
        rows = [self._session.run(None, {"image": picture[None].numpy()}) for picture in image.contiguous()]
        return {name: torch.cat([torch.from_numpy(row[i]) for row in rows]) for i, name in enumerate(self._outputs)}

    def subsets(self) -> list[list[int]]:
        """See `Network`."""
        return self._subsets


def build(description: str, weights: Mapping[str, Tensor], device: str) -> Network:
    """The network on a device, from its node list and its weights."""
    if torch.device(device).type == "cpu":
        return CpuNetwork(description, weights)
    return Graph(description, weights).eval().requires_grad_(False).to(device)
