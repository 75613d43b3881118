"""Whether the detectors see a face as well as they use to: a hand before it lowers their score, a turn of the head does not.

The landmark network cannot tell: with two thirds of a face covered it draws a whole one elsewhere and stays sure of it.
"""

from __future__ import annotations

from typing import NamedTuple

_FLOOR = 0.5  # below it the detectors report nothing


class Look(NamedTuple):
    """What the detectors made of a face in one frame.

    score: 0..1, 0 when none saw it. misfit: how far their features lie from the landmarks, see `FaceDetection.misfit`.
    """

    score: float
    misfit: float = 0.0


# A loss is the fall of the score and 0.8 of the rise of the misfit. Measured on seven clips (turns to 50 degrees, shouting,
# glasses, motion blur): 0.10 at most. With the mouth covered 0.13 to 0.26, the eyes, one side or most of the face 0.2 and more.
_SLIP = 0.8
_UNHARMED, _LOST = 0.08, 0.20
_SURE = 0.75  # what lies below may be a covered face
_FAST, _SLOW = 1 / 15, 1 / 300  # per frame: a covered face becomes the usual one only after ten seconds


class Visibility:
    """How one face usually looks to the detectors."""

    def __init__(self, look: Look) -> None:
        """look: at its first frame."""
        self._score, self._misfit = max(look.score, _FLOOR), look.misfit

    def see(self, look: Look) -> float:
        """Takes the look of a frame; returns how far it vouches for the landmarks, 0..1."""
        score = max(look.score, _FLOOR)
        misfit = look.misfit if look.score else self._misfit
        loss = self._score - score + _SLIP * max(misfit - self._misfit, 0.0)
        share = min(max((_LOST - loss) / (_LOST - _UNHARMED), 0.0), 1.0)
        pace = _FAST if share > _SURE else _SLOW
        self._score += (score - self._score) * pace
        self._misfit += (misfit - self._misfit) * pace
        return share
