"""Sound of a clip: AAC packets for a copy, or mono samples for analysis. Times are seconds after the first video frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import av.error
import av.filter
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from media.errors import BadInput

AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
AAC_LC, AAC_FRAME = 2, 1024
PRIMING_MAX = 2112  # samples before the first audible one that encoders put there for decoders; the most in common use
AAC_BIT_RATE_PER_CHANNEL = 96_000
LAYOUTS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class AacPacket:
    """One AAC-LC access unit and its time, in samples after the first video frame (negative for the encoder's priming)."""

    sample: int
    duration: int
    data: bytes


def broken(error: av.error.FFmpegError) -> BadInput:
    """The refusal for sound that cannot be decoded."""
    return BadInput(f"the sound of the video is broken ({error.strerror}); export it again or remove the sound")


def audio_specific_config(sample_rate: int, channels: int) -> bytes:
    """AudioSpecificConfig of plain AAC-LC (ISO/IEC 14496-3, 1.6.2.1): 5 bits type, 4 rate index, 4 channels, 3 zeros."""
    return (AAC_LC << 11 | AAC_RATES.index(sample_rate) << 7 | channels << 3).to_bytes(2, "big")


def can_copy(stream: AudioStream) -> bool:
    """Whether the packets are mono or stereo AAC-LC, which every MP4 player takes as they are."""
    context = stream.codec_context
    if context.codec.name != "aac" or context.sample_rate not in AAC_RATES or context.channels not in LAYOUTS:
        return False
    extradata = context.extradata or b""
    plain = audio_specific_config(context.sample_rate, context.channels)
    return extradata[:2] == plain and extradata[2:] in (b"", b"\x56\xe5\x00")  # the tail says: no spectral band replication


class PacketCopier:
    """Passes AAC packets on with their times. Sound hidden before the picture stays behind but for what the decoder needs."""

    def __init__(self, stream: AudioStream, first_s: Fraction) -> None:
        self.sample_rate, self.channels = stream.codec_context.sample_rate, stream.codec_context.channels
        self._first_s = first_s

    def packets(self, packet: Packet[AudioStream]) -> Iterator[AacPacket]:
        """The packet again; nothing for one that is never heard, nor for the empty one that ends a stream."""
        if packet.size and packet.pts is not None:
            sample = round((packet.pts * packet.time_base - self._first_s) * self.sample_rate)
            if sample + AAC_FRAME <= -PRIMING_MAX:
                return
            yield AacPacket(sample=sample, duration=AAC_FRAME, data=bytes(packet))


class Transcoder:
    """Decodes any sound and encodes it as AAC-LC, mono or stereo; gaps become silence so that nothing drifts."""

    def __init__(self, stream: AudioStream, first_s: Fraction) -> None:
        context = stream.codec_context
        self.sample_rate = context.sample_rate if context.sample_rate in AAC_RATES else 48_000
        self.channels = min(2, context.channels)
        encoder = av.CodecContext.create("aac", "w")
        encoder.sample_rate, encoder.layout, encoder.format = self.sample_rate, LAYOUTS[self.channels], "fltp"
        encoder.bit_rate = AAC_BIT_RATE_PER_CHANNEL * self.channels
        encoder.time_base = Fraction(1, self.sample_rate)
        encoder.open()
        self._encoder = encoder
        self._steady = Steady(self.sample_rate, LAYOUTS[self.channels], first_s, frame_size=AAC_FRAME)

    def packets(self, packet: Packet[AudioStream]) -> Iterator[AacPacket]:
        """The AAC packets that a packet of the source completes; the empty packet flushes."""
        for frame in decode(packet):
            for steady in self._steady.push(frame):
                yield from self._encode(steady)
        if not packet.size:
            for steady in self._steady.push(None):
                yield from self._encode(steady)
            yield from self._encode(None)

    def _encode(self, frame: AudioFrame | None) -> Iterator[AacPacket]:
        for packet in self._encoder.encode(frame):
            if packet.pts is not None:
                yield AacPacket(sample=packet.pts, duration=packet.duration or AAC_FRAME, data=bytes(packet))


class Steady:
    """Resamples frames to one rate and layout without gaps, time stamps in samples after the first video frame."""

    def __init__(self, sample_rate: int, layout: str, first_s: Fraction, *, frame_size: int | None = None) -> None:
        self._rate, self._layout, self._first_s = sample_rate, layout, first_s
        self._frame_size = frame_size
        self._graph: av.filter.Graph | None = None

    def push(self, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        """Frames (float planar) made ready by this one; None flushes."""
        if frame is not None and self._graph is None:
            self._graph = self._build(frame)
        if self._graph is None:
            return
        if frame is not None:
            start_s = (frame.pts or 0) * (frame.time_base or Fraction(1, frame.sample_rate))
            frame.pts = round((start_s - self._first_s) * frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
        try:
            self._graph.push(frame)
            while True:
                yield cast(AudioFrame, self._graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        except av.error.FFmpegError as error:
            raise broken(error) from error

    def _build(self, frame: AudioFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        steps = [
            graph.add("aresample", f"{self._rate}:async=1:min_hard_comp=0.05"),
            graph.add("aformat", f"sample_fmts=fltp:sample_rates={self._rate}:channel_layouts={self._layout}"),
        ]
        if self._frame_size is not None:
            steps.append(graph.add("asetnsamples", f"n={self._frame_size}:p=0"))
        graph.link_nodes(source, *steps, graph.add("abuffersink"))
        graph.configure()
        return graph


def decode(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """Decoded frames of a packet. Raises BadInput when it is broken."""
    try:
        return packet.decode()
    except av.error.FFmpegError as error:
        raise broken(error) from error


def samples_of(frame: AudioFrame) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """float32 (samples x channels,) of a planar frame, the channels of one moment next to each other."""
    return frame.to_ndarray().T.reshape(-1).astype(np.float32, copy=False)
