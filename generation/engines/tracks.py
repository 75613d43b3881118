"""A driver's track made usable: another rate, gaps bridged and reported, and refused when too much is missing."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from generation.engines.base import Bridged, FaceTrack, UnusablePerformance

MAX_MISSING = 0.2  # over a fifth missing, a bridge is invention
MIN_PRESENCE = 0.5  # the published threshold of the landmark network's face flag; below it the face is covered or gone
LONG_GAP_S = 0.5  # an expression held for longer looks frozen
FRAMES_AT_ONCE = 256  # what is measured of every frame of a track takes no more memory than this many
RELAX_S = 0.3  # a face comes to rest, and back, in about this time


def missing_frames(track: FaceTrack) -> Tensor:
    """bool (T,): frames without landmarks, or in which the tracker doubts that it sees the face."""
    parts = torch.split(track.landmarks, FRAMES_AT_ONCE)  # of a long clip, the comparison alone would copy the whole
    found = torch.cat([torch.isfinite(some).flatten(1).all(1) for some in parts])
    return ~found | (track.presence.to(found.device) < MIN_PRESENCE)


def bridged_stretches(track: FaceTrack) -> tuple[Bridged, ...]:
    """Stretches without a face that `bridge` fills, in seconds from the start of the clip."""
    rate = float(track.frame_rate)
    return tuple(Bridged(start / rate, end / rate) for start, end in _gaps(track))


def _gaps(track: FaceTrack) -> list[tuple[int, int]]:
    """First frame and end of every stretch of missing frames."""
    missing = missing_frames(track).to(torch.int8).cpu()
    edges = torch.diff(missing, prepend=torch.zeros(1, dtype=torch.int8), append=torch.zeros(1, dtype=torch.int8))
    starts, ends = (edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist()
    return list(zip(starts, ends, strict=True))


def require_usable(track: FaceTrack) -> None:
    """Raise UnusablePerformance when too many frames have no face."""
    missing = missing_frames(track)
    share = float(missing.float().mean()) if len(missing) else 1.0
    if share > MAX_MISSING:
        raise UnusablePerformance(
            f"the driving face is missing in {share:.0%} of the clip (at most {MAX_MISSING:.0%} can be bridged); "
            "film it facing the camera, evenly lit and unobstructed, or cut the clip to the part where it is seen"
        )


class BridgedTrack:
    """Every frame of a track, float32 (478, 3); gaps are filled when asked for, so that a long clip is in memory once.

    A gap is a move that starts and ends at rest; ends are held. At least one frame must be whole.
    """

    def __init__(self, track: FaceTrack) -> None:
        self._landmarks = track.landmarks.float().cpu()
        seen = (~missing_frames(track)).nonzero()[:, 0].cpu()  # (S,)
        frames = torch.arange(track.frame_count)
        after = torch.searchsorted(seen, frames).clamp(max=len(seen) - 1)
        before = (torch.searchsorted(seen, frames, right=True) - 1).clamp(min=0)
        self._first, self._last = seen[before], seen[after]
        share = ((frames - self._first).float() / (self._last - self._first).clamp(min=1)).clamp(0, 1)
        self._eased = (share * share * (3 - 2 * share))[:, None, None]

    def __len__(self) -> int:
        return len(self._landmarks)

    def __getitem__(self, frames: Tensor) -> Tensor:
        """Frames int64 (B,) -> (B, 478, 3)."""
        first, last = self._landmarks[self._first[frames]], self._landmarks[self._last[frames]]
        return torch.lerp(first, last, self._eased[frames])


def bridge(track: FaceTrack) -> Tensor:
    """All frames of `BridgedTrack`: float32 (T, 478, 3). The track's own tensor where nothing is missing."""
    if not bool(missing_frames(track).any()):
        return track.landmarks.float()
    return BridgedTrack(track)[torch.arange(track.frame_count)]


def certainty(track: FaceTrack) -> Tensor:
    """float32 (T,): how far each frame's expression is the driver's own: 1 where seen or briefly lost, easing to 0 in long gaps.

    An engine multiplies the expression by it, so that a face left alone comes to rest instead of staying frozen.
    """
    result = torch.ones(track.frame_count)
    rate = float(track.frame_rate)
    for start, end in _gaps(track):
        if (end - start) / rate > LONG_GAP_S:
            frames = torch.arange(start, end, dtype=torch.float32)
            since = frames - start + 1 if start > 0 else torch.full_like(frames, torch.inf)
            until = end - frames if end < track.frame_count else torch.full_like(frames, torch.inf)
            share = (torch.minimum(since, until) / rate / RELAX_S).clamp(0, 1)
            result[start:end] = 1 - share * share * (3 - 2 * share)
    return result


def resample(track: FaceTrack, frame_rate: Fraction, frame_count: int) -> FaceTrack:
    """The track at another rate: each new frame takes what the track showed at its time, between frames by straight lines.

    Frames after the track's end hold its last one. A new frame between two frames of which one is missing is missing.
    """
    if track.frame_rate == frame_rate and track.frame_count == frame_count:
        return track
    if track.frame_count == 0:
        empty = torch.full((frame_count, *track.landmarks.shape[1:]), torch.nan)
        return FaceTrack(empty, torch.zeros(frame_count), frame_rate, track.width, track.height)
    step = track.frame_rate / frame_rate  # exact: at equal times nothing is mixed, however long the clip
    places = torch.arange(frame_count, dtype=torch.int64) * step.numerator
    last = track.frame_count - 1
    before = torch.div(places, step.denominator, rounding_mode="floor")
    share = ((places - before * step.denominator).double() / step.denominator).float()
    share[before >= last] = 0.0
    before = before.clamp(max=last)
    after = torch.where(share > 0, before + 1, before)
    landmarks = torch.lerp(track.landmarks[before].float(), track.landmarks[after].float(), share[:, None, None])
    presence = torch.minimum(track.presence[before], track.presence[after])
    return FaceTrack(landmarks, presence, frame_rate, track.width, track.height)
