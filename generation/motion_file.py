"""The file of a motion template: safetensors with one face's landmarks and presence, signed as a whole. Pure.

Nothing of it is believed before its signature holds, and no byte of it is free: the header has one spelling, the tensors follow
it without a gap, and the signature (Ed25519, RFC 8032) covers both. Nothing is ever unpickled (misuse register A3).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from generation.errors import NoMotionTemplate

FORMAT = "countersign-motion-1"
POINTS = 478
BYTES_PER_FRAME = 4 * (3 * POINTS + 1)  # float32: the landmarks and the presence
HEADER_BYTES_MAX = 4096
LENGTH_BYTES = 8  # of the header's own length, little-endian, as safetensors begin
RATE = re.compile(r"[0-9]{1,9}(/[0-9]{1,9})?")
FURTHEST_PX = 1e5  # a landmark further out belongs to no picture
FIX = "use a file that `template record` wrote here, unchanged"


@dataclass(frozen=True, slots=True)
class MotionFacts:
    """What a template says of itself. The ids are those of this installation; no name is among them.

    width, height: of the driver's frames, in whose pixels the landmarks lie. tracker: what found the landmarks.
    """

    template: UUID
    studio: UUID
    person: UUID
    consent: UUID
    face: str
    frames: int
    frame_rate: Fraction
    width: int
    height: int
    tracker: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A template read: landmarks float32 (T, 478, 3), NaN where the face is absent; presence float32 (T,), 0 where it is."""

    facts: MotionFacts
    landmarks: NDArray[np.float32]
    presence: NDArray[np.float32]


def file_bytes_max(frames: int) -> int:
    """The size of the largest template of that many frames."""
    return LENGTH_BYTES + HEADER_BYTES_MAX + frames * BYTES_PER_FRAME


def write_motion(motion: Motion, key: Ed25519PrivateKey) -> bytes:
    """The file of a template. Frames without the face are written as zeros, so that every number in the file is finite."""
    absent = np.logical_not(np.isfinite(motion.landmarks.reshape(motion.facts.frames, -1).sum(axis=1)))  # (T,)
    landmarks = np.where(absent.reshape(-1, 1, 1), 0, motion.landmarks).astype("<f4")
    presence = np.where(absent, 0, motion.presence).astype("<f4")
    tensors = landmarks.tobytes() + presence.tobytes()
    facts = _facts_as_text(motion.facts, tensors)
    signature = key.sign(_signed(motion.facts.frames, facts))
    return _header(motion.facts.frames, {**facts, "signature": base64.b64encode(signature).decode()}) + tensors


def read_motion(content: bytes, keys: Sequence[Ed25519PublicKey], *, frames_max: int) -> Motion:
    """The template in a file. Raises NoMotionTemplate for any file that none of the platform's keys signed, bit for bit."""
    text = _metadata(content)
    facts = _facts_of(text, frames_max)
    tensors = content[len(content) - facts.frames * BYTES_PER_FRAME :] if facts.frames else b""
    unsigned = {name: value for name, value in text.items() if name != "signature"}
    if content != _header(facts.frames, text) + tensors or unsigned != _facts_as_text(facts, tensors):
        raise NoMotionTemplate(f"This motion template was altered after it was recorded; {FIX}.")
    _require_signature(text["signature"], _signed(facts.frames, unsigned), keys)
    return _motion(facts, tensors)


def _require_signature(signature: str, message: bytes, keys: Sequence[Ed25519PublicKey]) -> None:
    if not any(_is_signed(signature, message, key) for key in keys):
        raise NoMotionTemplate(f"This motion template was not signed by this platform, or was altered; {FIX}.")


def _is_signed(signature: str, message: bytes, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _motion(facts: MotionFacts, tensors: bytes) -> Motion:
    """The numbers of a signed file, checked all the same: a signature says who wrote them, not that they make sense."""
    cut = facts.frames * POINTS * 3 * 4
    landmarks = np.frombuffer(tensors[:cut], "<f4").reshape(facts.frames, POINTS, 3).astype(np.float32)
    presence = np.frombuffer(tensors[cut:], "<f4").astype(np.float32)
    if not (np.abs(landmarks) <= FURTHEST_PX).all() or not ((presence >= 0) & (presence <= 1)).all():
        raise NoMotionTemplate(f"This motion template holds numbers that are no landmarks; {FIX}.")
    landmarks[presence == 0] = np.nan
    return Motion(facts, landmarks, presence)


def _metadata(content: bytes) -> dict[str, str]:
    """The text fields of the header. Raises NoMotionTemplate for whatever else a file may be."""
    size = int.from_bytes(content[:LENGTH_BYTES], "little")
    if len(content) <= LENGTH_BYTES or size > min(HEADER_BYTES_MAX, len(content) - LENGTH_BYTES):
        raise NoMotionTemplate(f"This is no motion template ({_kind_of(content)}); {FIX}.")
    try:
        header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + size])
    except (ValueError, RecursionError):
        raise NoMotionTemplate(f"This is no motion template (its header cannot be read); {FIX}.") from None
    found = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()) or "signature" not in found:
        raise NoMotionTemplate(f"These tensors are not signed by this platform, and nobody vouches for them; {FIX}.")
    return found


def _kind_of(content: bytes) -> str:
    if content[:2] == b"PK":
        return "a NumPy or PyTorch archive, which is never opened"
    return "a pickle, which is never opened" if content[:1] == b"\x80" else "the file is of another kind"


def _facts_of(text: dict[str, str], frames_max: int) -> MotionFacts:
    try:
        facts = MotionFacts(
            template=UUID(text["template"]),
            studio=UUID(text["studio"]),
            person=UUID(text["person"]),
            consent=UUID(text["consent"]),
            face=text["face"],
            frames=int(text["frames"]),
            frame_rate=_rate_of(text["frame_rate"]),
            width=int(text["width"]),
            height=int(text["height"]),
            tracker=text["tracker"],
            recorded_at=datetime.fromisoformat(text["recorded_at"]),
        )
    except (KeyError, ValueError, ZeroDivisionError):
        raise NoMotionTemplate(f"The header of this motion template lacks a field or holds a wrong one; {FIX}.") from None
    if not 1 <= facts.frames <= frames_max or facts.frame_rate <= 0:
        raise NoMotionTemplate(f"A motion template has 1 to {frames_max} frames at a rate above zero; {FIX}.")
    return facts


def _rate_of(text: str) -> Fraction:
    """A rate such as 30000/1001. Nothing else is tried: `Fraction` would spend a day on an exponent. Raises ValueError."""
    if not RATE.fullmatch(text):
        raise ValueError("no rate")
    return Fraction(text)


def _facts_as_text(facts: MotionFacts, tensors: bytes) -> dict[str, str]:
    """The fields of the header but for the signature, each in the one way it may be spelled."""
    return {
        "format": FORMAT,
        "template": str(facts.template),
        "studio": str(facts.studio),
        "person": str(facts.person),
        "consent": str(facts.consent),
        "face": facts.face,
        "frames": str(facts.frames),
        "frame_rate": str(facts.frame_rate),
        "width": str(facts.width),
        "height": str(facts.height),
        "tracker": facts.tracker,
        "recorded_at": facts.recorded_at.isoformat(),
        "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
    }


def _header(frames: int, text: dict[str, str]) -> bytes:
    """The bytes before the tensors, as the safetensors format has them: length, then JSON filled up with spaces."""
    cut = frames * POINTS * 3 * 4
    fields: dict[str, Any] = {
        "__metadata__": text,
        "landmarks": {"dtype": "F32", "shape": [frames, POINTS, 3], "data_offsets": [0, cut]},
        "presence": {"dtype": "F32", "shape": [frames], "data_offsets": [cut, frames * BYTES_PER_FRAME]},
    }
    plain = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    filled = plain.ljust(-(-len(plain) // 8) * 8)
    return len(filled).to_bytes(LENGTH_BYTES, "little") + filled


def _signed(frames: int, text: dict[str, str]) -> bytes:
    """What the signature covers: the header without it. The digest in there covers the tensors."""
    return FORMAT.encode() + b"\n" + _header(frames, text)
