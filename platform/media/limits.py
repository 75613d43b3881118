"""The limits of untrusted media. `settings` holds the one table of values; the functions of `media` take them as an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one uploaded file may cost. Every error caused by a limit names the limit and its value."""

    still_bytes: int = 50 * 2**20  # a 50-megapixel JPEG of a professional camera is about 30 MB
    still_pixels: int = 50_000_000
    still_side_px: int = 12_000
    video_bytes: int = 500 * 2**20
    video_side_px: int = 4096
    video_seconds: float = 300.0
    video_frames: int = 18_000  # 300 s at 60 frames per second
    frame_rate_max: int = 120
    audio_channels: int = 8
    decode_cpu_seconds: int = 900
    decode_memory_bytes: int = 3 * 2**30
    faces_per_frame: int = 12
