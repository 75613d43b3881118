"""Untrusted video, looked at and normalised into the one form that is shown to the gate, tracked and rendered."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from media.decoder.sound import LAYOUTS
from media.decoder.wire import Header
from media.digests import file_sha256
from media.errors import BadInput
from media.limits import MediaLimits
from media.video.info import AudioInfo, MediaInfo, NormalisedVideo
from media.video.sandbox import decoding
from media.video.writing import Mp4File

LONG_SIDE_PX = 1920
SHORT_SIDE_MIN_PX = 64
LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "30"}


def probe(path: Path, *, limits: MediaLimits, tolerant: bool = False) -> MediaInfo:
    """What an untrusted video is, decoded up to its first frame; a tolerant probe steps over damaged packets before it.

    Raises BadInput for what is not accepted or over a limit.
    """
    with decoding("probe", path, limits, long_side_px=limits.video_side_px, tolerant=tolerant) as messages:
        return media_info(introduction(messages))


def normalise_video(
    source: Path, destination: Path, *, limits: MediaLimits, long_side_max_px: int = LONG_SIDE_PX
) -> NormalisedVideo:
    """Write an untrusted video as the MP4 that is used from here on.

    One video stream, upright, square pixels, BT.709 limited 4:2:0 of an even size, long side at most `long_side_max_px`, constant
    frame rate at the exact rational rate, lossless H.264. A plain 8-bit BT.709 source keeps every sample. The sound keeps its
    offset: AAC-LC packets are copied, other sound becomes AAC. Equal inputs give equal files. Raises BadInput and leaves no file.
    """
    with decoding("copy", source, limits, long_side_px=long_side_max_px) as messages:
        info = media_info(introduction(messages))
        if min(info.width, info.height) < SHORT_SIDE_MIN_PX:
            raise BadInput(
                f"the video is {info.width}x{info.height} pixels, too small to use; upload at least {SHORT_SIDE_MIN_PX} a side"
            )
        file = Mp4File(
            destination, width=info.width, height=info.height, frame_rate=info.frame_rate, codec="h264", options=LOSSLESS
        )
        try:
            has_audio = _fill(file, messages, limits)
            if file.frame_count == 0:
                raise BadInput("the video holds no picture that can be decoded; export it again as H.264 in MP4")
            file.commit()
        finally:
            file.discard()
    return NormalisedVideo(
        path=destination,
        sha256=file_sha256(destination),
        width=info.width,
        height=info.height,
        frame_rate=info.frame_rate,
        frame_count=file.frame_count,
        duration_s=float(file.duration_s),
        has_audio=has_audio,
        video_streams=info.video_streams,
        notes=info.notes,
    )


def introduction(messages: Iterator[tuple[Header, bytes]]) -> Header:
    """The first message of an operation on a clip."""
    header, _ = next(messages)
    return header


def media_info(header: Header) -> MediaInfo:
    """The decoder's introduction as a value."""
    picture = header["picture"]
    audio = header["audio"]
    rate = Fraction(header["frame_rate"])
    return MediaInfo(
        container=header["format_name"],
        codec=header["codec"],
        width=picture["width"],
        height=picture["height"],
        coded_width=picture["coded_width"],
        coded_height=picture["coded_height"],
        rotation=picture["rotation"],
        mirrored=picture["mirrored"],
        sample_aspect=Fraction(picture["sample_aspect"]),
        pixel_format=picture["pixel_format"],
        colour_matrix=picture["matrix"],
        full_range=picture["full_range"],
        frame_rate=rate,
        variable_frame_rate=header["variable"],
        frame_count=header["frames"],
        duration_s=float(header["slots"] / rate),
        video_streams=header["video_streams"],
        audio_streams=header["audio_streams"],
        audio=None if audio is None else AudioInfo(**audio),
        notes=(*picture["notes"], *_notes(header, rate)),
    )


def frame_stack(payload: bytes, width: int, height: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The payload of a frame message as uint8 (3H/2, W). Raises BadInput when it has another size."""
    if len(payload) != width * height * 3 // 2:
        raise BadInput("the video changes its picture size on the way; export it again in one size")
    return np.frombuffer(payload, dtype=np.uint8).reshape(height * 3 // 2, width)


def _notes(header: Header, rate: Fraction) -> Iterator[str]:
    if header["video_streams"] > 1:
        yield f"{header['video_streams']} video streams: only the one a player shows was kept"
    if header["variable"]:
        yield f"variable frame rate made constant at {float(rate):.3f} frames a second"


def _fill(file: Mp4File, messages: Iterator[tuple[Header, bytes]], limits: MediaLimits) -> bool:
    """Write frames and sound as they come; returns whether there was any sound."""
    sample_rate = 0
    for header, payload in messages:
        if header["kind"] == "sound":
            sample_rate = int(header["sample_rate"])
            file.add_aac(sample_rate=sample_rate, layout=LAYOUTS[header["channels"]])
        elif header["kind"] == "frame":
            _repeat(file, frame_stack(payload, file.width, file.height), int(header["repeats"]), limits)
        elif header["kind"] == "aac":
            file.write_audio(_packet(header, payload, sample_rate))
    return sample_rate > 0


def _repeat(file: Mp4File, planes: np.ndarray[tuple[int, int], np.dtype[np.uint8]], repeats: int, limits: MediaLimits) -> None:
    if file.frame_count + repeats > limits.video_frames:
        raise BadInput(f"the video has over {limits.video_frames} frames, the limit; upload a shorter part of it")
    for _ in range(repeats):
        file.write_planes(planes)


def _packet(header: Header, payload: bytes, sample_rate: int) -> Packet[Any]:
    packet = av.Packet(payload)
    packet.pts = packet.dts = int(header["sample"])
    packet.duration = int(header["duration"])
    packet.time_base = Fraction(1, sample_rate)
    return packet
