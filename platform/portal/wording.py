"""Words that several pages use for purposes, options, faces and consents."""

from __future__ import annotations

from datetime import UTC, datetime

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
OPTIONS = {
    "strength": ("Expression", "How strongly mouth, brows and eyes perform. 1 follows the performer."),
    "head_motion": ("Head motion", "0 keeps the head where the portrait has it. 1 follows the performer."),
    "gaze": ("Gaze", "0 keeps the look of the portrait. 1 looks where the performer looks."),
    "smoothing": ("Smoothing", "More is calmer, less is crisper. 1 suits most recordings."),
}
SIDES = {"portrait": "in the portrait", "driver": "in the performance"}


def purpose_label(purpose: str) -> str:
    """A purpose, for people."""
    return PURPOSE_LABELS.get(purpose, purpose)


def option_label(name: str) -> str:
    """An option of the engine, for people."""
    return OPTIONS[name][0] if name in OPTIONS else name.replace("_", " ").capitalize()


def face_label(face: str | None) -> str:
    """`portrait:1` in words: which face, in which of the two files."""
    side, _, rest = (face or "").partition(":")
    if side not in SIDES:
        return face or ""
    return f"Face {rest} {SIDES[side]}" if rest.isdigit() else SIDES[side].capitalize()


def moment_words(value: str | None) -> str:
    """An ISO 8601 time, for people, in UTC; empty for none."""
    if not value:
        return ""
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
