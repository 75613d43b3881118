"""Closes the loop on head pose: faces are drawn, read as a tracker reads them, and turned by as much as they were misread.

A network sees a warped head turn a little less or more than it was turned: hair, light and background stay behind. How much
depends on pose and expression, so a few frames of a performance tell it for all. This is one step of analysis by synthesis
(Blanz and Vetter, 1999); the misreading is learnt by kernel ridge regression (Saunders, Gammerman and Vovk, 1998), whose
linear kernel adds no jitter: it says nothing where nothing moves. Expressions are not put right: what is misread of them is
partly the network's habit of seeing average faces, and to follow it pulls a face away from its likeness.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from generation.engines.mesh import geometry, topology
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import Region
from media.tracking.geometry import Roi, roi_from_landmarks

SAMPLES = 32  # frames drawn and read: half a second of work, once for each driver that is kept
NOISE = 0.01  # face heights; root mean square movement that tells as much as one reading errs
LIMIT = (0.05, 0.05, 0.03, 0.02, 0.015, 0.015)  # yaw, pitch, roll, log zoom, face heights: as much as people are misread
PRESENCE = 0.5  # a network that doubts there is a face is not believed
ASTRAY = 0.05  # face heights; points are misread by a tenth of it, and by more where something else was read
FORETOLD = 0.25  # share of the misreadings that each time the others foretell; with less it is chance


class Reader(Protocol):
    """Reads landmarks in regions of frames; `media.tracking.FaceLandmarker` is one."""

    def landmarks(self, frames: Tensor, rois: Sequence[Roi]) -> tuple[Tensor, Tensor]:
        """uint8 (N, H, W, 3) and N regions -> float32 (N, 478, 3) in pixels of the frames, and presence (N,)."""


@dataclass(frozen=True, slots=True)
class Correction:
    """How much further a head has to be turned and moved to be read where it was asked, learnt from N readings."""

    moved: Tensor  # float64 (N, 1404) how far the points had moved since the reference frame, in face heights
    weights: Tensor  # float64 (N, 6)

    def __call__(self, moved: Tensor) -> Tensor:
        """(B, 6): yaw, pitch, roll in radians, log zoom, and shift right and down in face heights.

        moved: (B, 468, 3), how far points have moved since the reference frame, in face heights.
        """
        amount = -(_rows(moved) @ self.moved.T @ self.weights).float()
        return geometry.soft_limit(amount, torch.tensor(LIMIT), 0.5)


def sample_frames(count: int, reference: int) -> list[int]:
    """The reference frame, then others spread over a clip of `count` frames."""
    spread = {round(i * (count - 1) / (SAMPLES - 1)) for i in range(SAMPLES)}
    return [reference, *sorted(spread - {reference})]


@torch.inference_mode()
def learn(drawn: Iterable[tuple[Pose, Tensor]], reader: Reader, height: float, region: Region) -> Correction | None:
    """Read single poses that were drawn, the reference frame's first; None where it tells nothing that can be used.

    drawn: poses and their frames, uint8 (1, H, W, 3). height: of the face, in pixels. region: of the face in the frames.
    """
    ways, misread, doubted = [], [], 0
    for pose, frame in drawn:
        points = pose.vertices[0, : topology.FACE_POINTS].cpu()
        wrong = _misreading(points + torch.tensor([region.left, region.top, 0.0]), frame, reader, height)
        if wrong is not None:
            ways.append(points / height)
            misread.append(wrong)
        elif not ways:
            return None  # how the reference frame is misread must be known
        else:
            doubted += 1
    if len(ways) < max(3, doubted):
        return None
    # The still itself is misread too and shows what it shows: only the change counts.
    turns = torch.stack([_as_turn(points, wrong - misread[0]) for points, wrong in zip(ways[1:], misread[1:], strict=True)])
    return _fit(_rows(torch.stack(ways[1:]) - ways[0]), turns)


def _misreading(asked: Tensor, frame: Tensor, reader: Reader, height: float) -> Tensor | None:
    """(468, 2): how far off, in face heights, points (468, 3) are read in a frame (1, H, W, 3); None where it is doubted."""
    if not bool(asked.isfinite().all()):
        return None  # there is nowhere to look
    seen, presence = reader.landmarks(frame, [roi_from_landmarks(asked)])
    wrong = (seen[0, : topology.FACE_POINTS] - asked)[:, :2] / height
    return wrong if float(presence[0]) >= PRESENCE and float(wrong.norm(dim=1).mean()) < ASTRAY else None


def _as_turn(points: Tensor, shifts: Tensor) -> Tensor:
    """(6,): the small turn, zoom and shift, as in `Correction`, that moves points (468, 3) most nearly by shifts (468, 2).

    In double precision: in single, the solver's last bits differ from run to run, enough to be seen in pixels.
    """
    x, y, z = (points - points[list(topology.STABLE)].mean(0)).double().unbind(-1)
    one, none = torch.ones_like(x), torch.zeros_like(x)
    across = torch.stack([z, none, -y, x, one, none], 1)  # (468, 6)
    down = torch.stack([none, -z, x, y, none, one], 1)
    turn: Tensor = torch.linalg.lstsq(torch.cat([across, down]), shifts.double().T.flatten()[:, None]).solution[:, 0]
    return turn


def _fit(moved: Tensor, misread: Tensor) -> Correction | None:
    """Kernel ridge regression of (N, 6) on (N, 1404), believed if each reading is foretold by the others."""
    inverse = torch.linalg.inv(moved @ moved.T + NOISE**2 * torch.eye(len(moved), dtype=moved.dtype))
    weights = inverse @ misread
    left_out = weights / inverse.diagonal()[:, None]  # errors were each reading left out (Rasmussen and Williams, 2006, 5.12)
    foretold = 1 - left_out.square().sum() / misread.square().sum().clamp_min(1e-12)
    return Correction(moved, weights) if float(foretold) >= FORETOLD else None


def _rows(moved: Tensor) -> Tensor:
    """(B, 468, 3) -> float64 (B, 1404), whose length is the root mean square of the points' ways.

    In double precision, so that a frame is the same to the bit whether computed alone or among others.
    """
    rows: Tensor = moved.flatten(1).double() / topology.FACE_POINTS**0.5
    return rows
