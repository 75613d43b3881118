"""A portrait and a driver through the engine itself: no label, no mark, no encoding."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import NDArray

from generation.engines import load
from generation.engines.base import Animator, FaceTrack, Options, Performance, SourceFace, Still
from tests.bench.animation import clips


@dataclass(frozen=True, eq=False)
class Act:
    """What the engine made: uint8 RGB (T, H, W, 3), and the CPU time that it took."""

    frames: NDArray[np.uint8] = field(repr=False)
    prepare_s: float
    frame_ms: float


def main_face(still: torch.Tensor) -> SourceFace:
    """The largest face of a still; the whole picture when none is found, which leaves the refusal to the engine."""
    face = clips.largest_face(still)
    return SourceFace(face.box if face else (0.0, 0.0, float(still.shape[1]), float(still.shape[0])))


def perform(still: torch.Tensor, track: FaceTrack, *, engine: Animator | None = None, options: Options | None = None) -> Act:
    """Animate the main face of a uint8 (H, W, 3) still. Raises EngineError."""
    engine = engine or load("mesh", device="cpu")
    started = time.process_time()
    prepared = engine.prepare(Still(still))
    prepare_s = time.process_time() - started
    performance = Performance(main_face(still), track)
    started = time.process_time()
    frames = [batch.rgb.numpy() for batch in engine.animate(prepared, [performance], options or Options())]
    frame_ms = (time.process_time() - started) * 1000 / track.frame_count
    return Act(np.concatenate(frames), prepare_s, frame_ms)


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--set NAME=VALUE`, any number of times, for the engine's options."""
    names = ", ".join(option.name for option in fields(Options))
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help=f"an engine option: {names}")


def options_from(settings: Sequence[str]) -> Options:
    """The engine's options with those settings. Raises SystemExit for an unknown name or value."""
    defaults = Options()
    given: dict[str, object] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in {option.name for option in fields(Options)}:
            raise SystemExit(f"--set: there is no option {name!r}")
        default = getattr(defaults, name)
        given[name] = int(text) if default is None else type(default)(text)
    return Options(**given)  # type: ignore[arg-type]
