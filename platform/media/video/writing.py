"""Writing video: constant frame rate, exact rational time base, BT.709, audio packets carried over untouched.

A file appears under its name only when it is complete; an error leaves nothing behind.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import av
import av.audio
import av.container
import av.error
import torch
from av.packet import Packet
from av.stream import Stream

from media.decoder.pixels import PlaneStack
from media.errors import MediaError
from media.frames import FrameBatch
from media.video.colour import to_yuv

VideoCodec = Literal["h264", "hevc"]
ENCODERS: dict[VideoCodec, Literal["libx264", "libx265"]] = {"h264": "libx264", "hevc": "libx265"}
MP4_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
BT709, LIMITED = 1, 1  # ITU-T H.273: matrix, primaries and transfer share the code; AVCOL_RANGE_MPEG
X265 = "log-level=none:frame-threads=2"  # its output depends on how many frames it works on at once
X265_REORDERED = 2  # frames; its own decoding times are not to be used, those of clips of one or two frames are random
ENCODER_THREADS = 4  # fixed: x264's output depends on how many there are


class WriteError(MediaError):
    """A video could not be written."""

    code = "write_error"


class Mp4File:
    """An MP4 under construction: one video stream of planar frames and at most one stream of audio packets."""

    def __init__(
        self, path: Path, *, width: int, height: int, frame_rate: Fraction, codec: VideoCodec, options: dict[str, str]
    ) -> None:
        if width % 2 or height % 2 or width <= 0 or height <= 0:
            raise WriteError(f"video frames need an even width and height, not {width}x{height}; crop or scale them first")
        self.width, self.height, self.frame_rate = width, height, frame_rate
        self.frame_count = self._coded = 0
        self._codec = codec
        self._path = path
        self._partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
        self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
        self._video = self._container.add_stream(ENCODERS[codec], rate=frame_rate, options=options)
        context = self._video.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = 1 / frame_rate
        context.thread_count = ENCODER_THREADS
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        if codec == "hevc":
            context.codec_tag = "hvc1"  # the sample entry that Apple's players ask for
        self._audio: Stream | None = None

    @property
    def duration_s(self) -> Fraction:
        """Seconds of video written so far."""
        return self.frame_count / self.frame_rate

    def add_audio_like(self, template: av.audio.AudioStream) -> None:
        """Open the audio stream for packets of another file. Call before the first frame."""
        self._audio = self._container.add_stream_from_template(template)

    def add_aac(self, *, sample_rate: int, layout: str) -> bytes:
        """Open the audio stream for AAC-LC packets, and return the AudioSpecificConfig (ISO/IEC 14496-3) written for them."""
        stream = self._container.add_stream("aac", rate=sample_rate, layout=layout)
        stream.codec_context.open()
        self._audio = stream
        return bytes(stream.codec_context.extradata or b"")

    def write_planes(self, planes: PlaneStack) -> None:
        """Append one frame: uint8 (3H/2, W), the Y, U and V planes one after the other."""
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.colorspace = frame.color_primaries = frame.color_trc = BT709
        frame.color_range = LIMITED
        frame.pts, frame.time_base = self.frame_count, 1 / self.frame_rate
        self.frame_count += 1
        self._mux(self._video.encode(frame))

    def write_audio(self, packet: Packet[Any]) -> None:
        """Append one packet of the audio stream; its time base is its own."""
        if self._audio is None:
            raise WriteError("no audio stream was opened; add one before writing packets to it")
        packet.stream = self._audio
        self._container.mux_one(packet)

    def commit(self) -> None:
        """Flush, close and give the file its name. Raises WriteError when no frame was written."""
        if self.frame_count == 0:
            raise WriteError("a video needs at least one frame; write one before closing")
        self._mux(self._video.encode(None))
        self._container.close()
        self._partial.replace(self._path)

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            if self._codec == "hevc":
                packet.dts = self._coded - X265_REORDERED
            self._coded += 1
            self._container.mux_one(packet)

    def discard(self) -> None:
        """Close and remove what was written; harmless after `commit`."""
        try:
            self._container.close()
        except av.error.FFmpegError:  # closing writes the trailer, which may fail for the reason we are discarding
            pass
        finally:
            self._partial.unlink(missing_ok=True)


class VideoWriter:
    """Writes batches of frames as an MP4 with a constant frame rate.

    Frame i shows at exactly i / frame_rate seconds; the time stamps of the batches are not read. RGB is converted by
    `media.video.colour`; planar frames are written as they are. `audio_from` names a trusted file (a normalised driver) whose
    first audio stream is copied packet by packet, as far as the video reaches. The file appears when the `with` block ends well:

        with VideoWriter(path, width=w, height=h, frame_rate=rate) as writer:
            for batch in batches:
                writer.write(batch)

    Raises WriteError for a frame of another size, no frame at all, or audio that MP4 cannot carry.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        frame_rate: Fraction,
        crf: float = 18,
        preset: str = "medium",
        codec: VideoCodec = "h264",
        audio_from: Path | None = None,
    ) -> None:
        options = {"crf": str(crf), "preset": preset}
        if codec == "hevc":
            options["x265-params"] = X265
        self._cleanup = ExitStack()
        self._file = Mp4File(path, width=width, height=height, frame_rate=frame_rate, codec=codec, options=options)
        self._cleanup.callback(self._file.discard)
        self._audio: Iterator[Packet[Any]] = iter(())
        if audio_from is not None:
            with ExitStack() as unless_opened:  # an error here means `with` is never entered
                unless_opened.push(self._cleanup)
                self._audio = self._open_audio(audio_from)
                unless_opened.pop_all()
        self._next_packet = next(self._audio, None)

    @property
    def frame_count(self) -> int:
        """Frames written so far."""
        return self._file.frame_count

    def write(self, batch: FrameBatch) -> None:
        """Append the frames of a batch, planar or RGB, from any device."""
        if (batch.width, batch.height) != (self._file.width, self._file.height):
            raise WriteError(
                f"{batch.width}x{batch.height} frames do not fit {self._file.width}x{self._file.height}; scale them first"
            )
        planes = to_yuv(batch).yuv
        packed = torch.cat([plane.flatten(1) for plane in (planes.y, planes.u, planes.v)], dim=1)
        for frame in packed.cpu().numpy():
            self._file.write_planes(frame.reshape(-1, batch.width))
            self._carry_audio()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._cleanup:
            if kind is None:
                self._file.commit()

    def _open_audio(self, path: Path) -> Iterator[Packet[Any]]:
        source = self._cleanup.enter_context(av.open(str(path)))
        if not source.streams.audio:
            return iter(())
        stream = source.streams.audio[0]
        if stream.codec_context.name not in MP4_AUDIO:
            raise WriteError(f"MP4 cannot carry {stream.codec_context.name} audio; normalise the file first")
        self._file.add_audio_like(stream)
        packets = cast("Iterator[Packet[Any]]", source.demux(stream))
        return (packet for packet in packets if packet.pts is not None and packet.size)

    def _carry_audio(self) -> None:
        """Copy the packets that start before the end of the video written so far."""
        end_s = self._file.duration_s
        while self._next_packet is not None and cast(int, self._next_packet.pts) * self._next_packet.time_base < end_s:
            self._file.write_audio(self._next_packet)
            self._next_packet = next(self._audio, None)
