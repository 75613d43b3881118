"""Encodes the clips that tests ask for: any rate, time stamps, colours, turns, streams and sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

# H.273 codes
BT709, UNTAGGED, BT601, BT2020, P3, PQ, HLG = 1, 2, 6, 9, 12, 16, 18
LIMITED, FULL = 1, 2
Picture = Callable[[int, int, int], np.ndarray]  # width, height, number of the frame
QUIET_X265 = {"x265-params": "log-level=none:lossless=1:bframes=0"}


def gradient(width: int, height: int, index: int) -> np.ndarray:
    """A smooth moving picture, uint8 (3H/2, W) as yuv420p: no two frames are equal."""
    rows, columns = np.mgrid[0:height, 0:width]
    luma = 40 + (rows * 80 // height) + (columns * 80 // width) + 8 * (index % 10)
    stack = np.full((height * 3 // 2, width), 128, np.uint8)
    stack[:height] = luma
    chroma = stack[height:].reshape(2, height // 2, width // 2)
    chroma[0] = 100 + np.arange(width // 2) * 40 // width + index % 10
    chroma[1] = 150 - np.arange(height // 2)[:, None] * 40 // height
    return stack


def tone(seconds: float, rate: int, channels: int, *, click_s: float | None = None) -> np.ndarray:
    """float32 (channels, samples): a 440 Hz tone, or silence with one short click."""
    time_s = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    if click_s is not None:
        wave = np.where((time_s >= click_s) & (time_s < click_s + 0.01), np.sin(2 * np.pi * 2000 * time_s), 0.0)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write_clip(
    path: Path,
    *,
    size: tuple[int, int] = (128, 96),
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    tick_s: Fraction | None = None,
    frames: int = 25,
    picture: Picture = gradient,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    matrix: int = BT709,
    transfer: int = BT709,
    primaries: int = BT709,
    colour_range: int = LIMITED,
    sample_aspect: Fraction | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    streams: int = 1,
    audio: tuple[str, np.ndarray, int] | None = None,
    audio_start: Fraction = Fraction(0),
    container: str | None = None,
) -> Path:
    """Encode a clip, lossless with x264. `ticks`: presentation times in units of `tick_s`, else one frame each 1 / rate.

    audio: codec, float32 samples (channels, n), sample rate.
    """
    lossless = {"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
    base = tick_s or 1 / rate
    times = list(ticks) if ticks is not None else list(range(frames))
    shows = [later - earlier for earlier, later in pairwise(times)] or [1]
    with av.open(str(path), "w", format=container) as file:
        video = []
        for _ in range(streams):
            stream = file.add_stream(codec, rate=rate, options=options if options is not None else lossless)
            stream.width, stream.height, stream.pix_fmt = *size, pixel_format
            stream.codec_context.time_base = base
            stream.time_base = base
            stream.codec_context.colorspace, stream.codec_context.color_trc = matrix, transfer
            stream.codec_context.color_primaries, stream.codec_context.color_range = primaries, colour_range
            if sample_aspect is not None:
                stream.codec_context.sample_aspect_ratio = sample_aspect
            if rotation or mirrored:
                stream.set_display_rotation(-rotation, hflip=mirrored)
            video.append(stream)
        sound = None
        if audio is not None:
            sound = file.add_stream(audio[0], rate=audio[2], layout={1: "mono", 2: "stereo", 6: "5.1"}[audio[1].shape[0]])
            sound.codec_context.format = "s16" if audio[0].startswith(("pcm", "libopus", "flac")) else "fltp"
        for index, tick in enumerate(times):
            for number, stream in enumerate(video):
                frame = av.VideoFrame.from_ndarray(picture(*size, index + 5 * number), format=pixel_format)
                frame.pts, frame.time_base, frame.duration = tick, base, shows[min(index, len(shows) - 1)]
                frame.colorspace, frame.color_range = matrix, colour_range
                frame.color_trc, frame.color_primaries = transfer, primaries
                file.mux(stream.encode(frame))
        for stream in video:
            file.mux(stream.encode(None))
        if audio is not None and sound is not None:
            encode_audio(file, sound, audio[1], audio[2], audio_start)
    return path


def encode_audio(
    file: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray, rate: int, start: Fraction
) -> None:
    """Encode float32 samples (channels, n) into a stream, the first of them at `start` seconds."""
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    block = stream.codec_context.frame_size or 1024
    kind = stream.codec_context.format.name
    for offset in range(0, samples.shape[1], block):
        part = np.ascontiguousarray(samples[:, offset : offset + block])
        if kind == "s16":
            part = (part * 32767).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=kind, layout=stream.codec_context.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, offset + round(start * rate), Fraction(1, rate)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))
