"""Finds faces in frames with MediaPipe's two published detectors, on the whole frame or also in parts of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from media.tracking.decoding import CONFIDENT, Candidate, anchor_centres, decode, same_face, weighted_suppression
from media.tracking.geometry import Box, Roi, roi_from_box
from media.tracking.weights import NetworkName, load_network

# Landmarks in the middle of what the first four keypoints mark: the corners of each eye, the tip of the nose, the lips.
_FEATURES = [[33, 133], [362, 263], [1, 1], [13, 14]]
_SURE_INSIDE = 0.7  # what a small box inside a large face has to score to be a face of its own
_CHUNK_CPU, _CHUNK_GPU = 4, 64  # views per run: what fits a core's cache, and what keeps a GPU busy


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """A face found in a frame.

    box: pixels of the frame, may reach over its border. score: 0..1. keypoints: float32 (6, 2), pixels: right eye, left eye,
    nose tip, mouth centre, right ear, left ear. quarter_turns: how many times the frame was turned a quarter
    counter-clockwise before the face was found upright. scales: how many pairs of detector and scale saw it; a mirrored look
    is not a new scale, and below a score of 0.76 only one is counted. glimpses: the same, counted at any score.
    """

    box: Box
    score: float
    keypoints: Tensor
    quarter_turns: int
    scales: int
    glimpses: int = 1

    @property
    def persists(self) -> bool:
        """Whether it was seen at two scales at least: a face even if the landmark network does not agree (a profile)."""
        return self.scales >= 2

    @property
    def roi(self) -> Roi:
        """The region for `FaceLandmarker.landmarks`."""
        return roi_from_box(self.box, self.keypoints[0], self.keypoints[1])

    def misfit(self, landmarks: Tensor) -> float:
        """Largest distance between its eyes, nose and mouth and those of landmarks (478, 3), in widths of the box."""
        features = landmarks[_FEATURES, :2].mean(dim=1)
        return float((features - self.keypoints[:4]).norm(dim=1).max()) / max(self.box.width, 1.0)


@dataclass(frozen=True, slots=True)
class _View:
    """A square part of the frame that a detector looks at; parts outside the frame are black."""

    left: float
    top: float
    side: float
    scale: str
    mirrored: bool = False
    threshold: float = 0.0  # many small tiles give many chances to err: they have to be surer


@dataclass(frozen=True)
class _Kind:
    """One of the two networks: which views suit it and how its outputs are laid out."""

    network: NetworkName
    layout: tuple[tuple[int, int], ...]
    threshold: float  # the published ones


_SHORT = _Kind("face_short_range", ((16, 2), (8, 6)), 0.5)
_FULL = _Kind("face_full_range", ((48, 1),), 0.6)


class FaceDetector:
    """Both detectors: short range sees faces from about a tenth of the frame up, full range smaller ones."""

    def __init__(self, device: str = "cpu") -> None:
        """Loads the networks. Raises DamagedWeights."""
        self._device = torch.device(device)
        self._detectors = [_Detector(kind, self._device) for kind in (_SHORT, _FULL)]

    @torch.inference_mode()
    def detect(
        self, frames: Tensor, *, thorough: bool = False, turns: bool = False, halves: bool = False
    ) -> list[list[FaceDetection]]:
        """Faces of each frame, best first.

        frames: uint8 RGB (N, H, W, 3). By default both detectors look at the whole frame. thorough: also at overlapping tiles
        of half and a quarter of the longer side, at the frame with a wide margin (a face that fills it), and at mirrored
        views: for stills and gates, about half a second per frame on one core, finds upright faces from about 2% of the
        longer side up. turns: also look at the frame turned by one, two and three quarters. halves: without `thorough`, also
        look at overlapping tiles of half the longer side, of the frame as it stands: faces from about 4% up.
        """
        height, width = int(frames.shape[1]), int(frames.shape[2])
        faces: list[list[tuple[Candidate, int]]] = [[] for _ in range(frames.shape[0])]
        for quarter in range(4 if turns else 1):
            turned = torch.rot90(frames, quarter, dims=(1, 2)) if quarter else frames  # by none it would copy
            found = self._search(turned, _views(*turned.shape[1:3], thorough=thorough, halves=halves and not quarter))
            for index, candidates in enumerate(found):
                faces[index] += [_turn_back(c, quarter, height, width) for c in candidates]
        return [_distinct(pairs) for pairs in faces]

    def _search(self, frames: Tensor, views: Sequence[_View]) -> list[list[Candidate]]:
        found: list[list[Candidate]] = [[] for _ in range(frames.shape[0])]
        for detector in self._detectors:
            for index, candidates in detector.look(frames, views):
                found[index] += candidates
        return [weighted_suppression(candidates) for candidates in found]


class _Detector:
    """One network with its anchors."""

    def __init__(self, kind: _Kind, device: torch.device) -> None:
        self._kind = kind
        self._device = device
        self._network = load_network(kind.network, str(device))
        self._anchors = anchor_centres(kind.layout)

    def look(self, frames: Tensor, views: Sequence[_View]) -> Iterator[tuple[int, list[Candidate]]]:
        """Candidates in pixels of the frame, per frame and view, with the frame's index."""
        jobs = [(index, view) for index in range(frames.shape[0]) for view in views]
        size, step = self._network.size, _CHUNK_CPU if self._device.type == "cpu" else _CHUNK_GPU
        for start in range(0, len(jobs), step):
            chunk = jobs[start : start + step]
            images = torch.stack([_render(frames[index], view, size, self._device) for index, view in chunk])
            output = self._network(images)
            boxes, scores = output["boxes"].cpu(), output["scores"].cpu()
            for row, (index, view) in enumerate(chunk):
                threshold = max(self._kind.threshold, view.threshold)
                candidates = decode(boxes[row], scores[row], self._anchors, size, threshold)
                yield index, [_place(c, view, f"{self._kind.network}/{view.scale}") for c in candidates]


def _views(height: int, width: int, *, thorough: bool, halves: bool) -> list[_View]:
    long = max(height, width)
    whole = _View((width - long) / 2, (height - long) / 2, long, "1")
    if not thorough:
        return [whole, *_tiles(height, width, 2)] if halves else [whole]
    margin = _View((width - 2 * long) / 2, (height - 2 * long) / 2, 2 * long, "2")
    half = list(_tiles(height, width, 2))
    mirrored = [replace(view, mirrored=True) for view in (whole, *half)]
    return [whole, margin, *half, *_tiles(height, width, 4), *mirrored]


def _tiles(height: int, width: int, part: int) -> Iterator[_View]:
    side = max(height, width) / part
    for top in _steps(height, side):
        for left in _steps(width, side):
            yield _View(left, top, side, f"1/{part}", threshold=0.6)


def _steps(length: int, side: float) -> list[float]:
    """Starts of tiles that overlap by 40%, so that a face smaller than that is whole in one of them."""
    if side >= length:
        return [(length - side) / 2]
    count = math.ceil((length - side) / (0.6 * side)) + 1
    return [(length - side) * i / (count - 1) for i in range(count)]


def _render(frame: Tensor, view: _View, size: int, device: torch.device) -> Tensor:
    """The view as the networks want it: float32 (3, size, size) in -1..1."""
    height, width = frame.shape[:2]
    left, top = max(round(view.left), 0), max(round(view.top), 0)
    right, bottom = min(round(view.left + view.side), width), min(round(view.top + view.side), height)
    image = frame[top:bottom, left:right].to(device).permute(2, 0, 1)[None]
    if device.type != "cpu":  # the fast 8-bit resize exists on the CPU only
        image = image.float()
    scale = size / view.side
    inner = (max(round((bottom - top) * scale), 1), max(round((right - left) * scale), 1))
    image = F.interpolate(image, inner, mode="bilinear", antialias=True, align_corners=False)
    canvas = torch.full((3, size, size), -1.0, device=device)
    x, y = min(round((left - view.left) * scale), size - 1), min(round((top - view.top) * scale), size - 1)
    target = canvas[:, y : y + inner[0], x : x + inner[1]]
    target.copy_(image[0, :, : target.shape[1], : target.shape[2]].float() / 127.5 - 1)
    return canvas.flip(2) if view.mirrored else canvas


def _place(candidate: Candidate, view: _View, label: str) -> Candidate:
    """From the unit square of a view to pixels of the frame."""
    box, keypoints = candidate.box, candidate.keypoints
    if view.mirrored:
        box = Box(1 - box.x1, box.y0, 1 - box.x0, box.y1)
        keypoints = torch.stack([1 - keypoints[:, 0], keypoints[:, 1]], dim=1)[[1, 0, 2, 3, 5, 4]]
    scaled = Box(*(o + v * view.side for o, v in zip((view.left, view.top) * 2, box, strict=True)))
    points = keypoints * view.side + keypoints.new_tensor([view.left, view.top])
    return Candidate(scaled, points, candidate.score, frozenset({label}))


def _turn_back(candidate: Candidate, quarter: int, height: int, width: int) -> tuple[Candidate, int]:
    """Undoes `quarter` counter-clockwise quarter turns of a frame that was height x width before them."""
    undo: list[Callable[[Tensor], Tensor]] = [
        lambda p: p,
        lambda p: torch.stack([width - p[:, 1], p[:, 0]], dim=1),
        lambda p: torch.stack([width - p[:, 0], height - p[:, 1]], dim=1),
        lambda p: torch.stack([p[:, 1], height - p[:, 0]], dim=1),
    ]
    corners = undo[quarter](torch.tensor([candidate.box[:2], candidate.box[2:]]))
    (x0, y0), (x1, y1) = corners.amin(dim=0).tolist(), corners.amax(dim=0).tolist()
    return replace(candidate, box=Box(x0, y0, x1, y1), keypoints=undo[quarter](candidate.keypoints)), quarter


def _distinct(faces: Sequence[tuple[Candidate, int]]) -> list[FaceDetection]:
    """One detection per face: of all turns the one with the best score tells which way is up."""
    kept: list[FaceDetection] = []
    for face, quarter in sorted(faces, key=lambda pair: pair[0].score, reverse=True):
        if not any(same_face(face.box, other.box) or _echo(face, other) for other in kept):
            scales = len(face.seen_in) if face.score >= CONFIDENT else 1
            kept.append(FaceDetection(face.box, face.score, face.keypoints, quarter, scales, len(face.seen_in)))
    return kept


def _echo(face: Candidate, other: FaceDetection) -> bool:
    """Whether a doubtful face lies inside a surer one: cheeks and mouths of large faces look like small ones in a tile."""
    return face.score < _SURE_INSIDE and face.box.intersection(other.box) > 0.9 * face.box.area
