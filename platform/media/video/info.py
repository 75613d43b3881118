"""What is known about a file of media, before and after it was normalised."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The first audio stream: `start_s` is its first sample's time relative to the first video frame."""

    codec: str
    sample_rate: int
    channels: int
    start_s: float


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What `probe` found in a video file. Width and height are as displayed: upright and with square pixels."""

    container: str
    codec: str
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int  # degrees clockwise that the display matrix asks for
    mirrored: bool
    sample_aspect: Fraction
    pixel_format: str
    colour_matrix: str  # "bt709" or "bt601": declared, or assumed from the height when untagged
    full_range: bool
    frame_rate: Fraction
    variable_frame_rate: bool
    frame_count: int  # frames in the file
    duration_s: float
    video_streams: int  # attached pictures apart
    audio_streams: int
    audio: AudioInfo | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NormalisedVideo:
    """A driver in the form that is rendered: lossless H.264, constant rate, upright, square pixels, BT.709 limited 4:2:0."""

    path: Path
    sha256: str
    width: int
    height: int
    frame_rate: Fraction
    frame_count: int
    duration_s: float
    has_audio: bool
    video_streams: int  # of the original; only one of them is in the file
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NormalisedStill:
    """A still in the form that is rendered: an upright 8-bit sRGB PNG without transparency.

    under_alpha_path: the colours that lay hidden under transparent pixels, when there were any: the gate looks at them too.
    """

    path: Path
    sha256: str
    width: int
    height: int
    under_alpha_path: Path | None
    notes: tuple[str, ...]
