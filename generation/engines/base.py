"""What every animation engine is: the `Animator` protocol, its inputs and options, and the licence it runs under."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from torch import Tensor

from media.errors import CountersignError
from media.frames import FrameBatch, FrameStream


class EngineError(CountersignError):
    """Root of the errors of the animation engines."""

    code = "engine_error"


class UnusableSource(EngineError):
    """The still holds no face that this engine can animate."""

    code = "bad_input"


class UnusablePerformance(EngineError):
    """The driving performance holds too little of a face."""

    code = "bad_input"


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which licence an engine's weights run. `commercial_use` False refuses commercial purposes."""

    name: str
    commercial_use: bool
    source: str


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One face over a whole clip, as the face tracker saw it and the consent gate cleared it.

    landmarks: float32 (T, 478, 3), pixels of the normalised driver (z in the same unit, smaller is nearer); rows of frames
    without the face are NaN. presence: float32 (T,), 0..1. Frame i shows at i / frame_rate seconds.
    """

    landmarks: Tensor
    presence: Tensor
    frame_rate: Fraction
    width: int
    height: int

    @property
    def frame_count(self) -> int:
        """Number of frames T of the clip, faceless ones included."""
        return int(self.landmarks.shape[0])


@dataclass(frozen=True, slots=True)
class Still:
    """A still portrait: uint8 RGB (H, W, 3)."""

    rgb: Tensor


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A video whose faces are to be re-performed: `frames` opens a fresh frame stream at each call. Its rate is the output's.

    frame_at: one frame by its index, uint8 (H, W, 3), without reading those before; for engines that show single frames.
    """

    frames: Callable[[], FrameStream]
    frame_rate: Fraction
    frame_count: int
    width: int
    height: int
    frame_at: Callable[[int], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class SourceFace:
    """Which face of the source: its box (x0, y0, x1, y1) in pixels of the normalised source.

    track: in a video, the cleared track of that face, one row per frame of the source; None in a still.
    """

    box: tuple[float, float, float, float]
    track: FaceTrack | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """What one face of the source is to do: the cleared track of a driving face.

    `frames` opens the driver's pixels for engines that need them; engines that work from landmarks never touch it.
    """

    face: SourceFace
    track: FaceTrack
    frames: Callable[[], FrameStream] | None = None


class Regions(StrEnum):
    """What of the driver's performance is taken; everything else stays as the source has it."""

    ALL = "all"
    FACE = "face"  # expression, lips, eyes and gaze: no head motion
    LIPS = "lips"
    EYES = "eyes"  # lids, gaze and brows
    POSE = "pose"  # head motion alone


class MotionMode(StrEnum):
    """Whether the driver's motion is added to the source's own expression and pose, or takes their place."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"


class Framing(StrEnum):
    """The whole picture, or a square around the performing face."""

    FULL = "full"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class Options:
    """How a performance is applied. Options do not interact; ranges are checked by `generation.job_request`.

    Offsets are added after the driver's motion, so they also hold where `regions` leaves the driver out.
    """

    strength: float = 1.0  # 0..1.5 of the driver's expression; 1 performs as the driver does
    head_motion: float = 1.0  # 0..1.5 of the driver's head motion; 0 keeps the head of the source
    regions: Regions = Regions.ALL
    motion: MotionMode = MotionMode.RELATIVE
    gaze: float = 1.0  # 0..1 of the driver's gaze; 0 keeps the gaze of the source
    gaze_across: float = 0.0  # -1..1, added; 1 looks as far to the picture's right as eyes go
    gaze_up: float = 0.0  # -1..1, added; 1 looks as far up as eyes go
    eye_opening: float = 0.0  # -1..1, added; -1 closes the eyes, 1 opens them as wide as the source bears
    lip_opening: float = 0.0  # -1..1, added; -1 closes the lips, 1 opens the mouth as wide as the source bears
    smoothing: float = 1.0  # 0..2 in units of the engine's default window
    reference: int | None = None  # driver frame taken as neutral; None lets the engine choose
    seed: int = 0


MAX_OUTPUT_SIDE_PX = 4096  # cinema 4K; what is made here must also pass our own limit on videos


@dataclass(frozen=True, slots=True)
class OutputShape:
    """What part of the source is shown and how large.

    short_side: even pixels of the shorter side; None keeps the source's pixels, scaled down where a side would be over
    MAX_OUTPUT_SIDE_PX.
    """

    framing: Framing = Framing.FULL
    short_side: int | None = None


WHOLE_SOURCE = OutputShape()


@dataclass(frozen=True, slots=True)
class Bridged:
    """A stretch of the driver without a usable face that the engine held or interpolated, in seconds."""

    start_s: float
    end_s: float


class Prepared(Protocol):
    """A source made ready once for many performances. Width and height are those of the output."""

    @property
    def width(self) -> int:
        """Even number of columns of every output frame, in pixels."""

    @property
    def height(self) -> int:
        """Even number of rows of every output frame, in pixels."""


class Animator(Protocol):
    """An animation engine. Deterministic for equal inputs, options and device."""

    name: str
    version: str
    licence: Licence

    def prepare(
        self, source: Still | VideoSource, shape: OutputShape = WHOLE_SOURCE, faces: Sequence[SourceFace] = ()
    ) -> Prepared:
        """Find and prepare the faces of the source that are to perform; all of them when none is named.

        A crop is laid around these. Raises UnusableSource.
        """

    def animate(self, prepared: Prepared, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
        """Stream the animated clip as RGB batches in constant memory.

        A still gives one frame for each frame of the first performance, which sets rate, length and sound: tracks of other
        rates are resampled to it, shorter ones hold their last pose. A video gives one frame for each of its own, as long as
        the first performance lasts.
        Raises UnusablePerformance before the first batch when over 20% of a track has no usable face.
        """

    def preview(self, prepared: Prepared, performances: Sequence[Performance], options: Options, at_s: float) -> Tensor:
        """One frame, uint8 RGB (H, W, 3), at `at_s` seconds."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """A registered engine: how to load it, and what may be said about it before it is loaded."""

    name: str
    version: str
    licence: Licence
    load: Callable[[str], Animator] = field(repr=False)
