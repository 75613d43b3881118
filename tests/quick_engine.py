"""An animation engine that takes no time: the whole picture follows the nose of the lead. Real in all but its art."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
    SourceFace,
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


@dataclass(frozen=True)
class Film:
    source: VideoSource

    @property
    def width(self) -> int:
        return self.source.width

    @property
    def height(self) -> int:
        return self.source.height


@dataclass
class Asked:
    """What an animator was given, for a test to look at."""

    performances: list[Performance] = field(default_factory=list)


class QuickAnimator:
    """`shown` replaces the still by another picture, as a broken or bribed engine would."""

    name, version = NAME, "1"

    def __init__(self, licence: Licence = FREE, shown: Tensor | None = None, asked: Asked | None = None) -> None:
        self.licence = licence
        self.shown = shown
        self.asked = asked or Asked()

    def prepare(
        self, source: Still | VideoSource, shape: OutputShape = WHOLE_SOURCE, faces: Sequence[SourceFace] = ()
    ) -> Picture | Film:
        if isinstance(source, VideoSource):
            return Film(source)
        return Picture(source.rgb if self.shown is None else self.shown)

    def animate(self, prepared: Picture | Film, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
        self.asked.performances = list(performances)
        track = performances[0].track
        if isinstance(prepared, Film):
            yield from _refilmed(prepared.source, track, options.strength)
            return
        for first in range(0, track.frame_count, BATCH):
            numbers = range(first, min(first + BATCH, track.frame_count))
            stamps = torch.tensor([number / float(track.frame_rate) for number in numbers], dtype=torch.float64)
            yield FrameBatch(torch.stack([_swayed(prepared.rgb, track, number, options.strength) for number in numbers]), stamps)

    def preview(self, prepared: Picture | Film, performances: Sequence[Performance], options: Options, at_s: float) -> Tensor:
        track = performances[0].track
        picture = prepared.rgb if isinstance(prepared, Picture) else next(prepared.source.frames()).rgb[0]
        return _swayed(picture, track, int(at_s * track.frame_rate), options.strength)


def _refilmed(source: VideoSource, track: FaceTrack, strength: float) -> Iterator[FrameBatch]:
    """Each frame of a video swayed by what the driver does at its time, as long as the driver lasts."""
    number = 0
    for batch in source.frames():
        moments = [(number + index) / source.frame_rate for index in range(len(batch))]
        number += len(batch)
        during = [int(moment * track.frame_rate) for moment in moments if moment < track.frame_count / track.frame_rate]
        if during:
            swayed = [_swayed(picture, track, at, strength) for picture, at in zip(batch.rgb, during, strict=False)]
            yield FrameBatch(torch.stack(swayed), batch.timestamps_s[: len(swayed)])


def _swayed(picture: Tensor, track: FaceTrack, number: int, strength: float) -> Tensor:
    nose = track.landmarks[:, NOSE_TIP, :2]
    across, down = (strength * (nose[number] - nose[0]) / 2).nan_to_num().round().int().clamp(-24, 24).tolist()
    wobble = round(2 * math.sin(number / 3))  # a still driver must not freeze the picture
    return torch.roll(picture, (down + wobble, across), (0, 1))


def quick_entry(licence: Licence = FREE, shown: Tensor | None = None, asked: Asked | None = None) -> EngineEntry:
    """What `monkeypatch.setitem(ENGINES, NAME, ...)` takes."""
    return EngineEntry(name=NAME, version="1", licence=licence, load=lambda device: QuickAnimator(licence, shown, asked))
