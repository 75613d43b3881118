"""Converts the triangles of MediaPipe's face mesh (Apache-2.0) into the table that the mesh engine loads.

Usage: python topology.py mediapipe-0.10.21-*.whl OUT.safetensors

The wheel lists the mesh as directed edges, three to a triangle, in `mediapipe/python/solutions/face_mesh_connections.py`; the
edges are read as text, so the package itself is never imported.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

MEMBER = "mediapipe/python/solutions/face_mesh_connections.py"
MEMBER_SHA256 = "cc7171e44d0612db38720cb2fd2516c395992cdd7457efe341543be6f3c22d87"
TRIANGLES = 852


def read_edges(source: str) -> list[tuple[int, int]]:
    """Directed edges of FACEMESH_TESSELATION, in the order in which the file lists them."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FACEMESH_TESSELATION":
            if not isinstance(node.value, ast.Call):
                break
            return [tuple(pair) for pair in ast.literal_eval(node.value.args[0])]
    raise SystemExit("the file lists no FACEMESH_TESSELATION; use the wheel mediapipe 0.10.21")


def to_triangles(edges: list[tuple[int, int]]) -> Tensor:
    """int64 (852, 3): every three edges close one triangle."""
    triangles = [(a, b, c) for (a, b), (b2, c), (c2, a2) in zip(edges[0::3], edges[1::3], edges[2::3], strict=True)]
    closed = all(
        one[1] == two[0] and two[1] == three[0] and three[1] == one[0]
        for one, two, three in zip(edges[0::3], edges[1::3], edges[2::3], strict=True)
    )
    if not closed or len(triangles) != TRIANGLES:
        raise SystemExit("the edges do not close into 852 triangles; use the wheel mediapipe 0.10.21")
    return torch.tensor(triangles, dtype=torch.int64)


def main(wheel: Path, destination: Path) -> None:
    """Read the wheel, check what was read, write the table."""
    data = zipfile.ZipFile(wheel).read(MEMBER)
    if hashlib.sha256(data).hexdigest() != MEMBER_SHA256:
        raise SystemExit(f"{MEMBER} is not the one of mediapipe 0.10.21; use that wheel")
    save_file({"triangles": to_triangles(read_edges(data.decode())).to(torch.int32)}, str(destination))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
