"""Decoding one clip frame by frame, with its sound alongside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media.decoder.container import BROKEN, Survey, check_size, open_container, video_stream
from media.decoder.pixels import Picture, picture_of
from media.errors import BadInput
from media.limits import MediaLimits

DECODER_THREADS = 2
FAULTS_MAX = 200  # damaged packets a tolerant reader steps over


class FrameReader:
    """Turns packets of the chosen stream into frames with ascending time stamps.

    A tolerant reader steps over damaged packets and counts them in `faults`; the other raises BadInput at the first.
    order_s: the times of the frames in order, where the container's own are not to be believed (`Survey.order_s`).
    """

    def __init__(self, stream: VideoStream, limits: MediaLimits, *, tolerant: bool, order_s: Sequence[Fraction] = ()) -> None:
        self.faults = 0
        self._limits, self._tolerant, self._order_s = limits, tolerant, order_s
        self._stream = stream
        self._last_s: Fraction | None = None
        self._count = 0
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.options = {"max_pixels": str(limits.video_side_px**2)}

    def frames(self, packet: Packet[VideoStream]) -> Iterator[tuple[Fraction, VideoFrame]]:
        """The frames that a packet completes, each with its presentation time in seconds on the file's clock."""
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            self.faults += 1
            if not self._tolerant or self.faults > FAULTS_MAX:
                raise BadInput(f"{BROKEN} (damaged after {self._count} frames)") from error
            return
        for frame in decoded:
            time_s = self._time_s(frame)
            if time_s is not None:
                yield time_s, frame

    def _time_s(self, frame: VideoFrame) -> Fraction | None:
        """Time of a frame, or None for one to step over."""
        self._count += 1
        if self._count > self._limits.video_frames:
            raise BadInput(f"the video has over {self._limits.video_frames} frames, the limit; upload a shorter part of it")
        check_size(frame.width, frame.height, self._limits)
        time_s = self._stamp_s(frame)
        if time_s is None:
            return None
        if self._last_s is not None and time_s <= self._last_s:
            return None  # two frames for one moment: a player shows one of them
        self._last_s = time_s
        return time_s

    def _stamp_s(self, frame: VideoFrame) -> Fraction | None:
        if self._order_s:
            return self._order_s[self._count - 1] if self._count <= len(self._order_s) else None
        ticks = frame.pts if frame.pts is not None else frame.dts
        return None if ticks is None or frame.time_base is None else ticks * frame.time_base


def demux(container: InputContainer, *streams: VideoStream | AudioStream) -> Iterator[Packet[Any]]:
    """Packets in file order, the empty ones that flush the decoders last. A file that breaks off ends there."""
    try:
        yield from container.demux(list(streams))
    except av.error.FFmpegError as error:
        raise BadInput(BROKEN) from error


def first_picture(path: Path, limits: MediaLimits, *, long_side_px: int, tolerant: bool) -> Picture:
    """Decode up to the first frame and read from it how to convert all of them. Raises BadInput when there is none."""
    container, _ = open_container(path)
    with container:
        stream = video_stream(container)
        reader = FrameReader(stream, limits, tolerant=tolerant)
        for packet in demux(container, stream):
            for _, frame in reader.frames(packet):
                return picture_of(frame, stream.sample_aspect_ratio or Fraction(1), long_side_px=long_side_px)
    raise BadInput("the video holds no picture that can be decoded; export it again as H.264 in MP4")


def within(times: Iterator[tuple[Fraction, VideoFrame]], survey: Survey) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Frames with their times counted from the first one; those that the packets did not announce are left out."""
    end_s = survey.first_s + survey.duration_s + 1
    return ((time_s - survey.first_s, frame) for time_s, frame in times if survey.first_s <= time_s <= end_s)
