"""From the raw outputs of the face detectors to boxes: anchors, decoding and weighted non-maximum suppression.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019 (section 3.3 for the
weighted suppression), with the anchor layout and thresholds that MediaPipe publishes with the two networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from media.tracking.geometry import Box

KEYPOINTS = 6  # right eye, left eye, nose tip, mouth centre, right ear, left ear
_LOGIT_LIMIT = 100.0
_SUPPRESSION_IOU = 0.3
CONFIDENT = 0.76  # foliage, fur and starry skies stay below, even if several detectors take them for a face


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box (x0, y0, x1, y1) with its keypoints (6, 2), both in one unit, and its score 0..1."""

    box: Box
    keypoints: Tensor
    score: float
    seen_in: frozenset[str] = frozenset()


def anchor_centres(layout: Sequence[tuple[int, int]]) -> Tensor:
    """Anchor centres (A, 2) in the unit square; layout: (cells per side, anchors per cell) of each feature map."""
    maps = []
    for cells, per_cell in layout:
        steps = (torch.arange(cells, dtype=torch.float32) + 0.5) / cells
        rows, columns = torch.meshgrid(steps, steps, indexing="ij")
        centres = torch.stack([columns, rows], dim=-1).reshape(-1, 1, 2)
        maps.append(centres.expand(-1, per_cell, -1).reshape(-1, 2))
    return torch.cat(maps)


def decode(boxes: Tensor, scores: Tensor, anchors: Tensor, size: int, threshold: float) -> list[Candidate]:
    """One image's candidates, in the unit square of the network's input, after weighted suppression.

    boxes (A, 16): centre, size and six keypoints in pixels of the input, relative to the anchor. scores (A, 1): logits.
    """
    logits = scores[:, 0]
    kept = torch.nonzero(logits >= math.log(threshold / (1 - threshold)))[:, 0]
    if not len(kept):
        return []
    probability = torch.sigmoid(logits[kept].clamp(max=_LOGIT_LIMIT))
    raw, offsets = boxes[kept] / size, anchors[kept]
    centre, half = raw[:, :2] + offsets, raw[:, 2:4] / 2
    keypoints = raw[:, 4:].reshape(-1, KEYPOINTS, 2) + offsets[:, None]
    corners = torch.cat([centre - half, centre + half], dim=1)
    rows = zip(corners.tolist(), keypoints, probability.tolist(), strict=True)
    return weighted_suppression([Candidate(Box(*corner), points, score) for corner, points, score in rows])


def weighted_suppression(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Merges overlapping candidates into their mean weighted by score; the best score stands. Best first."""
    rest = sorted(candidates, key=lambda c: c.score, reverse=True)
    merged = []
    while rest:
        best = rest[0]
        group = [c for c in rest if c is best or same_face(c.box, best.box)]
        rest = [c for c in rest if all(c is not member for member in group)]
        merged.append(_mean(group))
    return merged


def same_face(one: Box, other: Box) -> bool:
    """Whether two boxes show one face. A small box inside a large one does not: it may be a second face before the first."""
    return one.iou(other) > _SUPPRESSION_IOU


def _mean(group: Sequence[Candidate]) -> Candidate:
    weights = torch.tensor([c.score for c in group])
    weights = weights / weights.sum()
    corners = (torch.tensor([list(c.box) for c in group]) * weights[:, None]).sum(dim=0)
    keypoints = (torch.stack([c.keypoints for c in group]) * weights[:, None, None]).sum(dim=0)
    seen_in = frozenset[str]().union(*(c.seen_in for c in group))
    return Candidate(Box(*corners.tolist()), keypoints, group[0].score, seen_in)
