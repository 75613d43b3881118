"""The options of a job as plain values: their ranges and choices, for the command line, the API and the pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from generation.engines.base import WHOLE_SOURCE, Framing, MotionMode, Options, OutputShape, Regions
from generation.errors import InvalidRequest


class Codec(StrEnum):
    """How the clip is encoded."""

    H264 = "h264"
    HEVC = "hevc"


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`. `whole`: an integer."""

    low: float
    high: float
    whole: bool = False

    def parse(self, name: str, value: object) -> float | int:
        """The number. Raises InvalidRequest."""
        try:
            number = int(str(value)) if self.whole else float(str(value))
        except (TypeError, ValueError, OverflowError):
            raise InvalidRequest(f"Option {name} must be a number from {self.low:g} to {self.high:g}.") from None
        if not self.low <= number <= self.high:
            raise InvalidRequest(f"Option {name} must lie from {self.low:g} to {self.high:g}, not {str(number)[:12]}.")
        return number

    def told(self) -> str:
        """What may be given, in words."""
        return f"{self.low:g} to {int(self.high) if self.whole else f'{self.high:g}'}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of several."""

    words: type[StrEnum]

    def parse(self, name: str, value: object) -> StrEnum:
        """The member. Raises InvalidRequest."""
        try:
            return self.words(str(value))
        except ValueError:
            raise InvalidRequest(f"Option {name} must be one of: {', '.join(self.words)}.") from None

    def told(self) -> str:
        """What may be given, in words."""
        return ", ".join(self.words)


# The short side of 4K is 2160; under 256 a face loses its eyes.
OPTION_RULES: dict[str, Range | Choice] = {
    "strength": Range(0.0, 1.5),
    "head_motion": Range(0.0, 1.5),
    "regions": Choice(Regions),
    "motion": Choice(MotionMode),
    "gaze": Range(0.0, 1.0),
    "gaze_across": Range(-1.0, 1.0),
    "gaze_up": Range(-1.0, 1.0),
    "eye_opening": Range(-1.0, 1.0),
    "lip_opening": Range(-1.0, 1.0),
    "smoothing": Range(0.0, 2.0),
    "reference": Range(0, 10**6, whole=True),
    "seed": Range(0, 2**31 - 1, whole=True),
    "framing": Choice(Framing),
    "short_side": Range(256, 2160, whole=True),
    "codec": Choice(Codec),
}


OPTION_DEFAULTS: dict[str, Any] = {item.name: item.default for part in (Options, OutputShape) for item in fields(part)} | {
    "codec": Codec.H264
}


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a job's options ask of the engine, of the picture and of the encoder."""

    performance: Options = field(default_factory=Options)
    shape: OutputShape = WHOLE_SOURCE
    codec: Codec = Codec.H264


def parse_options(values: Mapping[str, Any]) -> JobOptions:
    """Options from plain values. Raises InvalidRequest for an unknown name, a wrong type or a value out of range."""
    unknown = [name for name in values if name not in OPTION_RULES]
    if unknown:
        raise InvalidRequest(f"Unknown option {unknown[0]!r}; choose from: {', '.join(OPTION_RULES)}.")
    parsed: dict[str, Any] = {name: OPTION_RULES[name].parse(name, value) for name, value in values.items()}
    return JobOptions(
        performance=Options(**_of(Options, parsed)),
        shape=OutputShape(**_of(OutputShape, parsed)),
        codec=parsed.get("codec", Codec.H264),
    )


def option_values(options: JobOptions) -> dict[str, Any]:
    """Plain values of the options that differ from their defaults."""
    given: dict[str, Any] = {}
    for part in (options.performance, options.shape):
        given |= {item.name: getattr(part, item.name) for item in fields(part) if getattr(part, item.name) != item.default}
    return given if options.codec is Codec.H264 else {**given, "codec": options.codec}


def _of(part: type[Options] | type[OutputShape], parsed: Mapping[str, Any]) -> dict[str, Any]:
    return {item.name: parsed[item.name] for item in fields(part) if item.name in parsed}
