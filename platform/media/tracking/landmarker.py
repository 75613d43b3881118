"""478 face landmarks with refined lips, eyes and irises.

The network is MediaPipe's attention mesh (Grishchenko et al., 2020): a mesh of 468 points, and three branches that look
again at lips and eyes. The numbering of the points is MediaPipe's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from media.tracking.geometry import Roi, cut, roi_from_landmarks, to_frame
from media.tracking.weights import load_network

LANDMARKS = 478
_MESH = 468
_REFINED = ("lips", "right_eye", "left_eye", "right_iris", "left_iris")
_CHUNK_CPU, _CHUNK_GPU = 8, 64  # crops at a time: what fits a core's cache, and what keeps a GPU busy


class FaceLandmarker:
    """Finds the landmarks of one face per region."""

    def __init__(self, device: str = "cpu") -> None:
        """Loads the network. Raises DamagedWeights."""
        self._device = torch.device(device)
        self._network = load_network("face_landmarks", device)
        lips, right_eye, left_eye = self._network.subsets()
        self._rims = right_eye[:16], left_eye[:16]  # the outlines of the eyes
        self._rows = torch.tensor(_rows_of([lips, right_eye, left_eye]), device=self._device)

    @torch.inference_mode()
    def landmarks(self, frames: Tensor, rois: Sequence[Roi], *, passes: int = 1) -> tuple[Tensor, Tensor]:
        """Looks at one region in each frame.

        frames: uint8 RGB (N, H, W, 3); rois: N regions. For several faces of one frame pass `frame.expand(n, -1, -1, -1)`,
        which copies nothing. passes: look again with the region that the landmarks give (2 for a still or a first frame,
        where the region comes from a coarse box).
        Returns landmarks float32 (N, 478, 3): x, y in pixels of the frame and z in the same unit, smaller is nearer; and
        presence float32 (N,), the probability 0..1 that there is a face. Both on the CPU.
        """
        if len(rois) != frames.shape[0]:
            raise ValueError(f"{frames.shape[0]} frames need as many regions, not {len(rois)}")
        regions, points, presence = list(rois), torch.zeros(0, LANDMARKS, 3), torch.zeros(0)
        for _ in range(passes):
            points, presence = self._look(frames, regions)
            regions = [roi_from_landmarks(face) for face in points]
        return points, presence

    @torch.inference_mode()
    def presence(self, frames: Tensor, rois: Sequence[Roi]) -> Tensor:
        """How sure it is that a region found by a detector holds a face: float32 (N,), 0..1.

        The lower of two looks, straight and mirrored: fur, foliage and print pass one of them by chance, rarely both.
        """
        flags = [torch.zeros(0)]
        for batch, _ in self._crops(frames, rois):
            looks = [self._network(look)["face_flag"].reshape(-1) for look in (batch, batch.flip(3))]
            flags.append(torch.minimum(*looks).cpu())
        return torch.sigmoid(torch.cat(flags))

    def _look(self, frames: Tensor, rois: Sequence[Roi]) -> tuple[Tensor, Tensor]:
        points, flags = [torch.zeros(0, LANDMARKS, 3)], [torch.zeros(0)]
        for batch, chunk in self._crops(frames, rois):
            result = self._network(batch)
            unit = self._merge(result).cpu() / self._network.size
            points.append(torch.stack([to_frame(face, roi) for face, roi in zip(unit, chunk, strict=True)]))
            flags.append(result["face_flag"].reshape(-1).cpu())
        return torch.cat(points), torch.sigmoid(torch.cat(flags))

    def _crops(self, frames: Tensor, rois: Sequence[Roi]) -> Iterator[tuple[Tensor, Sequence[Roi]]]:
        """The network's input for a few regions at a time, and those regions."""
        size, step = self._network.size, _CHUNK_CPU if self._device.type == "cpu" else _CHUNK_GPU
        for start in range(0, len(rois), step):
            chunk = rois[start : start + step]
            pixels = [cut(frames[start + i].to(self._device), roi, size) for i, roi in enumerate(chunk)]
            yield torch.stack(pixels).div_(255), chunk

    def _merge(self, result: dict[str, Tensor]) -> Tensor:
        """The network's outputs -> (N, 478, 3) in pixels of the crop. Irises take the mean depth of their eye's outline."""
        mesh = result["mesh"]
        flat = torch.cat([mesh[..., :2], *(result[name] for name in _REFINED)], dim=1)
        irises = [mesh[:, rim, 2].mean(dim=1, keepdim=True).expand(-1, 5) for rim in self._rims]
        depth = torch.cat([mesh[..., 2], *irises], dim=1)
        return torch.cat([flat[:, self._rows], depth[..., None]], dim=2)


def _rows_of(subsets: Sequence[Sequence[int]]) -> list[int]:
    """For each landmark its row among the points of the mesh and, after them, those that the branches refined."""
    rows = list(range(_MESH))
    first = _MESH
    for subset in subsets:
        for place, point in enumerate(subset, start=first):
            rows[point] = place
        first += len(subset)
    return [*rows, *range(first, first + LANDMARKS - _MESH)]
