"""Words that several pages use for purposes, options, faces and consents."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

PURPOSE_LABELS = {
    "film": "Film and series",
    "advertising": "Advertising",
    "education": "Education",
    "news": "News",
    "parody": "Parody",
    "personal": "Personal",
    "research": "Research",
    "internal_test": "Internal test",
}


@dataclass(frozen=True, slots=True)
class OptionWords:
    """An option in words. words: its choices, by value. empty: what leaving a number out means."""

    label: str
    explanation: str
    words: dict[str, str] = field(default_factory=dict)
    empty: str = ""


REGIONS = {
    "all": "Everything",
    "face": "The face, without head motion",
    "lips": "Lips only",
    "eyes": "Eyes and brows only",
    "pose": "Head motion only",
}
OPTIONS = {
    "strength": OptionWords("Expression", "How strongly mouth, brows and eyes perform. 1 follows the performer."),
    "head_motion": OptionWords("Head motion", "0 keeps the head where the portrait has it. 1 follows the performer."),
    "regions": OptionWords("What performs", "The rest stays as the portrait has it.", REGIONS),
    "gaze": OptionWords("Gaze", "0 keeps the look of the portrait. 1 looks where the performer looks."),
    "gaze_across": OptionWords("Look across", "Turns the eyes to the left of the picture or to its right."),
    "gaze_up": OptionWords("Look up", "Turns the eyes down or up."),
    "eye_opening": OptionWords("Eyes", "Closes the eyes or opens them wider."),
    "lip_opening": OptionWords("Lips", "Closes the lips or opens the mouth wider."),
    "motion": OptionWords(
        "Starting point",
        "Whether the portrait's own expression and pose are kept underneath.",
        {"relative": "Add to the portrait's own", "absolute": "Replace the portrait's own"},
    ),
    "smoothing": OptionWords("Smoothing", "More is calmer, less is crisper. 1 suits most recordings."),
    "reference": OptionWords(
        "Neutral frame", "The frame of the performance that counts as doing nothing, from 0.", empty="Chosen for you"
    ),
    "seed": OptionWords("Seed", "For engines that draw lots: the same seed gives the same clip.", empty="0"),
    "framing": OptionWords(
        "Framing", "How much of the portrait is shown.", {"full": "The whole picture", "crop": "A square around the face"}
    ),
    "short_side": OptionWords(
        "Size", "Pixels of the shorter side, 256 to 2160. 1080 is full HD, 2160 is 4K.", empty="As the portrait"
    ),
    "codec": OptionWords(
        "Encoding", "H.264 plays everywhere. HEVC files are smaller.", {"h264": "H.264", "hevc": "HEVC (H.265)"}
    ),
}
# as the pages group them: what is tried first, then the rest
OPTION_GROUPS = {
    "Face and head": ("strength", "head_motion", "regions", "smoothing"),
    "Eyes and lips": ("gaze", "gaze_across", "gaze_up", "eye_opening", "lip_opening"),
    "More settings": ("motion", "reference", "framing", "short_side", "codec", "seed"),
}
SIDES = {"portrait": "in the portrait", "driver": "in the performance"}


def purpose_label(purpose: str) -> str:
    """A purpose, for people."""
    return PURPOSE_LABELS.get(purpose, purpose)


def option_label(name: str) -> str:
    """An option of the engine, for people."""
    return OPTIONS[name].label if name in OPTIONS else name.replace("_", " ").capitalize()


def option_value(name: str, value: object) -> str:
    """The value of an option, for people."""
    return OPTIONS[name].words.get(str(value), str(value)) if name in OPTIONS else str(value)


def face_label(face: str | None) -> str:
    """`portrait:1` in words: which face, in which of the files."""
    side, _, rest = (face or "").partition(":")
    if re.fullmatch(r"driver[2-9]", side):
        return f"Face {rest} in performance {side[-1]}"
    if side not in SIDES:
        return face or ""
    return f"Face {rest} {SIDES[side]}" if rest.isdigit() else SIDES[side].capitalize()
