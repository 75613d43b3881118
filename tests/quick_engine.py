"""An animation engine that takes no time: the whole still follows the nose of the driver. Real in all but its art."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.base import (
    WHOLE_SOURCE,
    EngineEntry,
    FaceTrack,
    Licence,
    Options,
    OutputShape,
    Performance,
    Still,
    VideoSource,
)
from media.frames import FrameBatch

NAME = "quick"
BATCH = 4
NOSE_TIP = 1  # of the 478 landmarks
FREE = Licence("Apache-2.0", True, "the tests")
NOT_FOR_SALE = Licence("research only", False, "the tests")


@dataclass(frozen=True)
class Picture:
    rgb: Tensor

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])


class QuickAnimator:
    """`shown` replaces the still by another picture, as a broken or bribed engine would."""

    name, version = NAME, "1"

    def __init__(self, licence: Licence = FREE, shown: Tensor | None = None) -> None:
        self.licence = licence
        self.shown = shown

    def prepare(self, source: Still | VideoSource, shape: OutputShape = WHOLE_SOURCE) -> Picture:
        assert isinstance(source, Still)
        return Picture(source.rgb if self.shown is None else self.shown)

    def animate(self, prepared: Picture, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
        track = performances[0].track
        for first in range(0, track.frame_count, BATCH):
            numbers = range(first, min(first + BATCH, track.frame_count))
            stamps = torch.tensor([number / float(track.frame_rate) for number in numbers], dtype=torch.float64)
            yield FrameBatch(torch.stack([_swayed(prepared.rgb, track, number) for number in numbers]), stamps)

    def preview(self, prepared: Picture, performances: Sequence[Performance], options: Options, at_s: float) -> Tensor:
        return prepared.rgb


def _swayed(picture: Tensor, track: FaceTrack, number: int) -> Tensor:
    nose = track.landmarks[:, NOSE_TIP, :2]
    across, down = ((nose[number] - nose[0]) / 2).nan_to_num().round().int().clamp(-24, 24).tolist()
    wobble = round(2 * math.sin(number / 3))  # a still driver must not freeze the picture
    return torch.roll(picture, (down + wobble, across), (0, 1))


def quick_entry(licence: Licence = FREE, shown: Tensor | None = None) -> EngineEntry:
    """What `monkeypatch.setitem(ENGINES, NAME, ...)` takes."""
    return EngineEntry(name=NAME, version="1", licence=licence, load=lambda device: QuickAnimator(licence, shown))
