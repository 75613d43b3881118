"""Reads a TFLite flatbuffer into plain operators and float32 arrays (constants dequantised and densified).

Needs the PyPI packages `tflite` and `flatbuffers`, which the product itself does not depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite  # type: ignore[import-not-found]
from flatbuffers import flexbuffers  # type: ignore[import-untyped]

_BUILTIN_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_OPTION_NAMES = {value: name for name, value in vars(tflite.BuiltinOptions).items() if isinstance(value, int)}
_DTYPES = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.INT32: np.int32}
_CONSTANT_OPERATORS = frozenset({"DEQUANTIZE", "DENSIFY"})


@dataclass(frozen=True)
class Operator:
    """One operator: its TFLite name (or the custom op's), tensor numbers, and its options."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    custom: bytes


@dataclass(frozen=True)
class FlatGraph:
    """A network: operators in execution order, constants by tensor number, shapes (NHWC) by tensor number."""

    operators: tuple[Operator, ...]
    constants: dict[int, np.ndarray]
    shapes: dict[int, tuple[int, ...]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_flat_graph(data: bytes) -> FlatGraph:
    """Reads the first subgraph of a model. Operators that only unpack constants are resolved and left out."""
    model = tflite.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    shapes = {i: tuple(int(n) for n in _shape(graph.Tensors(i))) for i in range(graph.TensorsLength())}
    constants = {i: value for i in shapes if (value := _constant(model, graph.Tensors(i))) is not None}
    operators = []
    for i in range(graph.OperatorsLength()):
        operator = _operator(model, graph.Operators(i))
        if operator.name in _CONSTANT_OPERATORS:
            constants[operator.outputs[0]] = constants[operator.inputs[0]].astype(np.float32)
        else:
            operators.append(operator)
    return FlatGraph(tuple(operators), constants, shapes, tuple(graph.InputsAsNumpy()), tuple(graph.OutputsAsNumpy()))


def custom_options(operator: Operator) -> dict[str, Any]:
    """The flexbuffer options of a custom operator."""
    options: dict[str, Any] = flexbuffers.Loads(operator.custom)
    return options


def _shape(tensor: Any) -> list[int]:
    return list(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else []


def _operator(model: Any, raw: Any) -> Operator:
    code = model.OperatorCodes(raw.OpcodeIndex())
    name = _BUILTIN_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    custom = b""
    if name == "CUSTOM":
        name = code.CustomCode().decode()
        custom = bytes(raw.CustomOptionsAsNumpy()) if raw.CustomOptionsLength() else b""
    inputs, outputs = (tuple(int(i) for i in numbers) for numbers in (raw.InputsAsNumpy(), raw.OutputsAsNumpy()))
    return Operator(name, code.Version(), inputs, outputs, _options(raw), custom)


def _options(raw: Any) -> Any:
    table = raw.BuiltinOptions()
    if table is None:
        return None
    options = getattr(tflite, _OPTION_NAMES[raw.BuiltinOptionsType()])()
    options.Init(table.Bytes, table.Pos)
    return options


def _constant(model: Any, tensor: Any) -> np.ndarray | None:
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength() or tensor.Type() not in _DTYPES:
        return None
    values: np.ndarray = buffer.DataAsNumpy().view(_DTYPES[tensor.Type()])
    if tensor.Sparsity() is not None:
        return _densify(values, tensor)
    return values.reshape(_shape(tensor))


def _densify(values: np.ndarray, tensor: Any) -> np.ndarray:
    """Expands TFLite's sparse encoding (dense and compressed-row dimensions, no inner blocks reordered)."""
    sparsity = tensor.Sparsity()
    order = sparsity.TraversalOrderAsNumpy()
    shape = _shape(tensor)
    blocks = list(sparsity.BlockMapAsNumpy()) if sparsity.BlockMapLength() else []
    rank = len(shape)
    dims = [sparsity.DimMetadata(i) for i in range(sparsity.DimMetadataLength())]
    positions: list[list[int]] = [[]]
    parents = [0]
    for metadata in dims:
        positions, parents = _expand(metadata, positions, parents)
    block_sizes = [dims[rank + i].DenseSize() for i in range(len(blocks))]
    dense = np.zeros(shape, values.dtype)
    for value, place in zip(values, positions, strict=True):
        index = [0] * rank
        for level, position in enumerate(place):
            axis = int(order[level])
            if axis < rank:
                scale = block_sizes[blocks.index(axis)] if axis in blocks else 1
                index[axis] += position * scale
            else:
                index[int(blocks[axis - rank])] += position
        dense[tuple(index)] = value
    return dense


def _expand(metadata: Any, positions: list[list[int]], parents: list[int]) -> tuple[list[list[int]], list[int]]:
    """One level of the storage tree: every node of the level above gets its stored children."""
    if metadata.Format() == tflite.DimensionType.DENSE:
        size = metadata.DenseSize()
        children = [
            (parent * size + k, [*place, k]) for place, parent in zip(positions, parents, strict=True) for k in range(size)
        ]
    else:
        segments = _int_vector(metadata.ArraySegments(), metadata.ArraySegmentsType())
        indices = _int_vector(metadata.ArrayIndices(), metadata.ArrayIndicesType())
        children = [
            (k, [*place, int(indices[k])])
            for place, parent in zip(positions, parents, strict=True)
            for k in range(segments[parent], segments[parent + 1])
        ]
    return [place for _, place in children], [node for node, _ in children]


def _int_vector(table: Any, kind: int) -> np.ndarray:
    names = {
        tflite.SparseIndexVector.Int32Vector: "Int32Vector",
        tflite.SparseIndexVector.Uint16Vector: "Uint16Vector",
        tflite.SparseIndexVector.Uint8Vector: "Uint8Vector",
    }
    vector = getattr(tflite, names[kind])()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy()).astype(np.int64)
