"""A driver's track made usable: gaps bridged, reported, and refused when too much is missing."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from generation.engines.base import Bridged, FaceTrack, UnusablePerformance

MAX_MISSING = 0.2  # over a fifth missing, a bridge is invention


def missing_frames(track: FaceTrack) -> Tensor:
    """bool (T,): frames whose landmarks are not all finite."""
    return ~torch.isfinite(track.landmarks).flatten(1).all(1)


def bridged_stretches(track: FaceTrack) -> tuple[Bridged, ...]:
    """Stretches without a face that `bridge` fills, in seconds from the start of the clip."""
    missing = missing_frames(track).to(torch.int8).cpu()
    edges = torch.diff(missing, prepend=torch.zeros(1, dtype=torch.int8), append=torch.zeros(1, dtype=torch.int8))
    starts, ends = (edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist()
    rate = float(track.frame_rate)
    return tuple(Bridged(start / rate, end / rate) for start, end in zip(starts, ends, strict=True))


def require_usable(track: FaceTrack) -> None:
    """Raise UnusablePerformance when too many frames have no face."""
    missing = missing_frames(track)
    share = float(missing.float().mean()) if len(missing) else 1.0
    if share > MAX_MISSING:
        raise UnusablePerformance(
            f"the driving face is missing in {share:.0%} of the clip (at most {MAX_MISSING:.0%} can be bridged); "
            "film it facing the camera, evenly lit and unobstructed, or cut the clip to the part where it is seen"
        )


def bridge(track: FaceTrack) -> Tensor:
    """float32 (T, 478, 3): gaps filled by straight lines between their ends, ends held. At least one frame must be whole."""
    missing = missing_frames(track)
    if not bool(missing.any()):
        return track.landmarks.float()
    seen = (~missing).nonzero()[:, 0]  # (S,)
    frames = torch.arange(track.frame_count, device=seen.device)
    after = torch.searchsorted(seen, frames).clamp(max=len(seen) - 1)
    before = (torch.searchsorted(seen, frames, right=True) - 1).clamp(min=0)
    first, last = seen[before], seen[after]
    share = ((frames - first).float() / (last - first).clamp(min=1)).clamp(0, 1)[:, None, None]
    return torch.lerp(track.landmarks[first].float(), track.landmarks[last].float(), share)


def resample(track: FaceTrack, frame_rate: Fraction, frame_count: int) -> FaceTrack:
    """The track at another rate: each new frame takes what the track showed at its time, between frames by straight lines.

    Frames after the track's end hold its last one. A frame next to a missing one is missing.
    """
    if track.frame_rate == frame_rate and track.frame_count == frame_count:
        return track
    last = track.frame_count - 1
    at = (torch.arange(frame_count, dtype=torch.float64) * float(track.frame_rate / frame_rate)).clamp(max=last)  # (N,)
    before = at.floor().long()
    after, share = (before + 1).clamp(max=last), (at - before).float()
    landmarks = torch.lerp(track.landmarks[before].float(), track.landmarks[after].float(), share[:, None, None])
    exact = share < 1e-6
    landmarks[exact] = track.landmarks[before[exact]].float()  # 0 x NaN is NaN
    presence = torch.minimum(track.presence[before], track.presence[after])
    return FaceTrack(landmarks, presence, frame_rate, track.width, track.height)
