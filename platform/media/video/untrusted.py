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
        longest = int((self.limits.video_seconds + 1) * sample_rate)
        blocks: list[Samples] = []
        filled = 0
        with decoding("sound", self.path, self.limits, sample_rate=sample_rate) as messages:
            for header, payload in messages:
                if header["kind"] == "end" and header["silent"]:
                    return None
                if header["kind"] == "samples" and filled < longest:
                    block = _aligned(np.frombuffer(payload, dtype=np.float32), int(header["sample"]), filled, longest)
                    blocks.append(block)
                    filled += block.size
        return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def stream_untrusted(path: Path, *, limits: MediaLimits) -> UntrustedClip:
    """Open any uploaded video for looking at. Raises BadInput for what `probe` refuses."""
    return UntrustedClip(path=path, limits=limits, info=probe(path, limits=limits, tolerant=True))


def _aligned(block: Samples, sample: int, filled: int, longest: int) -> Samples:
    """A block moved to where its time stamp says: silence before it, or its early part cut."""
    if sample < filled:
        return block[min(block.size, filled - sample) :]
    silence = np.zeros(min(sample, longest) - filled, dtype=np.float32)
    return np.concatenate((silence, block))
