"""Untrusted clips as streams, for those who only look at them: every frame with its own time stamp, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from media.decoder.pixels import PlaneStack
from media.errors import BadInput
from media.frames import FrameBatch
from media.limits import MediaLimits
from media.video.info import MediaInfo
from media.video.intake import frame_stack, introduction, probe
from media.video.reading import as_batch
from media.video.sandbox import decoding

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]
StereoSamples = np.ndarray[tuple[int, int], np.dtype[np.float32]]
CHANNELS = {"mono": 1, "stereo": 2}


@dataclass(frozen=True, slots=True)
class Sound:
    """samples: float32 (samples, channels) from the first video frame on, None without sound. text_streams: of the same file."""

    samples: StereoSamples | None
    text_streams: int


@dataclass(frozen=True, slots=True)
class UntrustedClip:
    """An untrusted video that passed `probe`. Each call decodes the file anew, in a limited child process."""

    path: Path
    limits: MediaLimits
    info: MediaInfo

    def planes(self, *, batch_size: int = 8) -> Iterator[FrameBatch]:
        """Planar batches of at most `batch_size` frames, upright and with square pixels; times count from the first frame.

        Damaged frames are left out, so that a damaged copy can still be looked at. Raises BadInput when nothing more can be read.
        """
        width, height = self.info.width, self.info.height
        stacks: list[PlaneStack] = []
        times_s: list[float] = []
        with decoding("frames", self.path, self.limits, long_side_px=self.limits.video_side_px, tolerant=True) as messages:
            introduction(messages)
            for count, (header, payload) in enumerate(messages):
                if header["kind"] != "frame":
                    continue
                if count >= self.limits.video_frames:
                    raise BadInput(
                        f"the video has over {self.limits.video_frames} frames, the limit; upload a shorter part of it"
                    )
                stacks.append(frame_stack(payload, width, height))
                times_s.append(float(header["time_s"]))
                if len(stacks) == batch_size:
                    yield as_batch(stacks, times_s)
                    stacks, times_s = [], []
        if stacks:
            yield as_batch(stacks, times_s)

    def audio(self, *, sample_rate: int = 16_000) -> Samples | None:
        """The sound as mono float32 (samples,) in -1..1 from the first video frame on; None without sound. Raises BadInput."""
        found = self._sound(sample_rate, "mono").samples
        return None if found is None else found[:, 0]

    def stereo(self, *, sample_rate: int = 16_000) -> Sound:
        """The sound in two channels: what is opposite in left and right, and gone in mono, is still there. Raises BadInput."""
        return self._sound(sample_rate, "stereo")

    def _sound(self, sample_rate: int, layout: str) -> Sound:
        channels = CHANNELS[layout]
        longest = int((self.limits.video_seconds + 1) * sample_rate)
        blocks: list[StereoSamples] = []
        filled = text_streams = 0
        with decoding("sound", self.path, self.limits, sample_rate=sample_rate, layout=layout) as messages:
            for header, payload in messages:
                if header["kind"] == "end" and header["silent"]:
                    return Sound(None, header["text_streams"])
                if header["kind"] == "end":
                    text_streams = int(header["text_streams"])
                if header["kind"] == "samples" and filled < longest:
                    arrived = np.frombuffer(payload, dtype=np.float32).reshape(-1, channels)
                    block = _aligned(arrived, int(header["sample"]), filled, longest)
                    blocks.append(block)
                    filled += len(block)
        samples = np.concatenate(blocks) if blocks else np.zeros((0, channels), dtype=np.float32)
        return Sound(samples, text_streams)


def stream_untrusted(path: Path, *, limits: MediaLimits) -> UntrustedClip:
    """Open any uploaded video for looking at. Raises BadInput for what `probe` refuses."""
    return UntrustedClip(path=path, limits=limits, info=probe(path, limits=limits, tolerant=True))


def _aligned(block: StereoSamples, sample: int, filled: int, longest: int) -> StereoSamples:
    """A block moved to where its time stamp says: silence before it, or its early part cut."""
    if sample < filled:
        return block[min(len(block), filled - sample) :]
    silence = np.zeros((min(sample, longest) - filled, block.shape[1]), dtype=np.float32)
    return np.concatenate((silence, block))
