"""The file of a motion template: what is written can be read, and nothing else can."""

from __future__ import annotations

import io
import json
import pickle
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from generation.errors import NoMotionTemplate
from generation.motion_file import BYTES_PER_FRAME, Motion, MotionFacts, file_bytes_max, read_motion, write_motion

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
FRAMES = 6
FACTS = MotionFacts(
    template=UUID(int=1),
    studio=UUID(int=2),
    person=UUID(int=3),
    consent=UUID(int=4),
    face="driver:1",
    frames=FRAMES,
    frame_rate=Fraction(30000, 1001),
    width=704,
    height=576,
    tracker="a tracker",
    recorded_at=datetime(2026, 6, 1, tzinfo=UTC),
)


def motion(facts: MotionFacts = FACTS) -> Motion:
    landmarks = np.random.default_rng(1).uniform(0, 500, (facts.frames, 478, 3)).astype(np.float32)
    landmarks[2] = np.nan
    presence = np.ones(facts.frames, np.float32)
    presence[2] = 0
    return Motion(facts, landmarks, presence)


CONTENT = write_motion(motion(), KEY)


def read(content: bytes, frames_max: int = 100) -> Motion:
    return read_motion(content, [KEY.public_key()], frames_max=frames_max)


def header_of(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + size]))


def with_header(content: bytes, header: dict[str, Any], **how: Any) -> bytes:
    size = int.from_bytes(content[:8], "little")
    text = json.dumps(header, **how).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def test_what_was_written_is_read_back_with_frames_without_a_face() -> None:
    found = read(CONTENT)
    assert found.facts == FACTS
    assert np.array_equal(found.landmarks, motion().landmarks, equal_nan=True)
    assert found.presence.tolist() == [1, 1, 0, 1, 1, 1]


def test_the_file_is_ordinary_safetensors_of_finite_numbers_and_no_larger_than_told() -> None:
    tensors = load(CONTENT)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"landmarks": (FRAMES, 478, 3), "presence": (FRAMES,)}
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert len(CONTENT) <= file_bytes_max(FRAMES)


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_no_byte_of_it_can_be_changed(place: int, change: int) -> None:
    altered = bytearray(CONTENT)
    altered[place] ^= change
    with pytest.raises(NoMotionTemplate):
        read(bytes(altered))


@given(st.binary(max_size=200))
def test_nothing_else_is_a_template(content: bytes) -> None:
    with pytest.raises(NoMotionTemplate):
        read(content)


@given(st.integers(0, len(CONTENT) - 1))
def test_no_part_of_it_is_a_template(length: int) -> None:
    with pytest.raises(NoMotionTemplate):
        read(CONTENT[:length])


def test_a_template_of_another_platform_is_refused() -> None:
    with pytest.raises(NoMotionTemplate, match="not signed by this platform"):
        read(write_motion(motion(), OTHER_KEY))


@pytest.mark.parametrize("field", ["template", "studio", "person", "consent"])
def test_a_field_changed_in_its_own_spelling_is_refused(field: str) -> None:
    header = header_of(CONTENT)
    header["__metadata__"][field] = str(UUID(int=9))
    with pytest.raises(NoMotionTemplate, match="not signed"):
        read(with_header(CONTENT, header, sort_keys=True, separators=(",", ":")))


def test_the_same_header_spelled_in_another_way_is_refused() -> None:
    with pytest.raises(NoMotionTemplate, match="altered"):
        read(with_header(CONTENT, header_of(CONTENT)))


@pytest.mark.parametrize("addition", [b"\0", b"more after the tensors"])
def test_nothing_can_be_hidden_after_the_tensors(addition: bytes) -> None:
    with pytest.raises(NoMotionTemplate):
        read(CONTENT + addition)


def test_tensors_changed_together_with_their_digest_are_refused() -> None:
    other = motion()
    other.landmarks[0] += 1
    forged = write_motion(other, OTHER_KEY)
    header = header_of(forged)
    header["__metadata__"]["signature"] = header_of(CONTENT)["__metadata__"]["signature"]
    with pytest.raises(NoMotionTemplate, match="not signed"):
        read(with_header(forged, header, sort_keys=True, separators=(",", ":")))


@pytest.mark.parametrize("number", [np.inf, -1e9])
def test_signed_numbers_that_are_no_landmarks_are_refused(number: float) -> None:
    wild = motion()
    wild.landmarks[1, 0, 0] = number
    if np.isinf(number):  # written as a frame without a face
        assert np.isnan(read(write_motion(wild, KEY)).landmarks[1]).all()
        return
    with pytest.raises(NoMotionTemplate, match="no landmarks"):
        read(write_motion(wild, KEY))


def test_a_signed_presence_beyond_its_range_is_refused() -> None:
    wild = motion()
    wild.presence[1] = 7
    with pytest.raises(NoMotionTemplate, match="no landmarks"):
        read(write_motion(wild, KEY))


def test_a_template_longer_than_any_clip_is_refused() -> None:
    with pytest.raises(NoMotionTemplate, match="1 to 5 frames"):
        read(CONTENT, frames_max=FRAMES - 1)


def test_a_template_without_a_frame_is_refused() -> None:
    header = header_of(CONTENT)
    header["__metadata__"]["frames"] = "0"
    with pytest.raises(NoMotionTemplate, match="1 to 100 frames"):
        read(with_header(CONTENT, header))


@pytest.mark.parametrize("field", ["frame_rate", "frames", "width", "template", "recorded_at"])
@pytest.mark.parametrize("value", ["1e999999999", "", "9" * 2000, "1/0", "-1", "\u0661"])
def test_a_field_that_would_cost_a_day_or_means_nothing_is_refused_at_once(field: str, value: str) -> None:
    header = header_of(CONTENT)
    header["__metadata__"][field] = value
    with pytest.raises(NoMotionTemplate):
        read(with_header(CONTENT, header))


def test_safetensors_that_nobody_signed_are_told_so() -> None:
    tensors = {"landmarks": motion().landmarks, "presence": motion().presence}
    with pytest.raises(NoMotionTemplate, match="nobody vouches"):
        read(save(tensors))


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, exp=np.zeros(3))
    return file.getvalue()


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize(
    ("content", "said"),
    [(archive(), "NumPy"), (pickle.dumps(Bomb()), "pickle"), (b"", "another kind"), (b"\xff" * 64, "another kind")],
    ids=["npz", "pickle", "empty", "noise"],
)
def test_other_kinds_of_file_are_named_and_never_opened(content: bytes, said: str) -> None:
    with pytest.raises(NoMotionTemplate, match=said):
        read(content)


@pytest.mark.parametrize("text", [b"[" * 4000, b'{"__metadata__": {"signature": 7}}', b"{}", b"7", b'"x"', b"\xff\xfe{}"])
def test_a_header_that_is_no_header_is_refused(text: bytes) -> None:
    with pytest.raises(NoMotionTemplate):
        read(len(text).to_bytes(8, "little") + text + bytes(BYTES_PER_FRAME))
