"""How safely a mark is read back from what was encoded and from copies of it, before anything is released."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .detector import Detection

STRONGER = 1.35  # of the base strength: about 2.6 dB, the most that stayed invisible on flats
REQUIRED_NATS = 5.0  # above the acceptance threshold; one more generation of compression costs about as much
EXCERPT_S = 2.0  # one second was enough in 118 of 131 attacks of the prototype; two leave room
EXCERPTS = 3  # at the start, in the middle, at the end; shorter clips are read whole


@dataclass(frozen=True, slots=True)
class Margin:
    """How much more evidence a copy showed than acceptance asks for; none when the mark was not found or is not the right one.

    nats: difference; db: ratio, as power. marked_share: of the seconds looked at, those that carry the mark.
    """

    nats: float
    db: float
    marked_share: float

    @property
    def is_thin(self) -> bool:
        """Whether the mark may not outlive what happens to videos."""
        return self.nats < REQUIRED_NATS


def margin(detection: Detection) -> float:
    """Evidence above what acceptance asks for, in nats; never above zero when the mark was not found."""
    spare = detection.log_evidence - detection.required_log_evidence
    return spare if detection.found else min(spare, 0.0)


def margin_of(detection: Detection, payload: int) -> Margin:
    """The margin of one payload in a detection."""
    if not detection.found or detection.payload != payload:
        return Margin(0.0, 0.0, 0.0)
    marked_s = sum(end - start for start, end in detection.segments)
    return Margin(
        nats=round(margin(detection), 2),
        db=round(10.0 * math.log10(detection.log_evidence / detection.required_log_evidence), 2),
        marked_share=round(min(1.0, marked_s / max(1, detection.seconds)), 3),
    )


def excerpts(frames: int, frame_rate: Fraction) -> list[tuple[int, int]]:
    """What is read of a clip of so many frames: (first frame, number of frames), in order, apart from each other."""
    length = math.ceil(EXCERPT_S * frame_rate)
    if frames <= EXCERPTS * length:
        return [(0, frames)]
    step = Fraction(frames - length, EXCERPTS - 1)
    return [(int(step * number), length) for number in range(EXCERPTS)]
