"""Single frames of a normalised video are read by a jump, and are those that reading all of it gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from media.errors import BadInput
from media.frames import FrameBatch
from media.video import VideoWriter, read_frame, read_frames

COUNT = 75
RATE = Fraction(30000, 1001)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Frames that differ, with key frames every 30."""
    path = tmp_path / "clip.mp4"
    levels = torch.arange(COUNT).mul(3)[:, None, None, None].expand(COUNT, 48, 64, 3).to(torch.uint8)
    with VideoWriter(path, width=64, height=48, frame_rate=RATE) as writer:
        writer.write(FrameBatch(levels.contiguous(), torch.arange(COUNT, dtype=torch.float64) / float(RATE)))
    return path


def test_a_frame_is_the_same_however_it_is_reached(clip: Path) -> None:
    every = torch.cat([batch.rgb for batch in read_frames(clip)])
    assert len(every) == COUNT
    for index in (0, 1, 29, 30, 31, 59, 60, COUNT - 1):
        assert torch.equal(read_frame(clip, index), every[index])


def test_the_rest_of_a_video_keeps_its_times(clip: Path) -> None:
    batches = list(read_frames(clip, start_frame=40))
    assert sum(len(batch) for batch in batches) == COUNT - 40
    assert float(batches[0].timestamps_s[0]) == pytest.approx(40 / RATE, abs=1e-4)


def test_past_the_end_there_is_no_frame(clip: Path) -> None:
    with pytest.raises(BadInput, match="no frame 75"):
        read_frame(clip, COUNT)
