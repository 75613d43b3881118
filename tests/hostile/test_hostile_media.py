"""Files made to break the reader are refused in a sentence, quickly, and leave nothing behind."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media.decoder import still
from media.decoder.heif_boxes import HeifFile
from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_still, normalise_video, probe, read_still, stream_untrusted
from tests.hostile import make
from tests.hostile.heic import box

LIMITS = MediaLimits()
ADVICE = ("upload", "export", "scale", "shorten", "remove")
SECONDS_MAX = 15.0  # on a busy machine; alone each takes a fraction of a second

Maker = Callable[[Path], Path]


def assert_tells_what_to_do(error: BadInput) -> None:
    assert error.code == "bad_input"
    last_clause = error.message.rsplit(";", 1)[-1]
    assert any(word in last_clause for word in ADVICE), error.message


@pytest.mark.parametrize("maker", make.HOSTILE_VIDEOS, ids=lambda maker: maker.__name__)
def test_a_hostile_video_is_refused_with_advice(maker: Maker, tmp_path: Path) -> None:
    source = maker(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    began = time.monotonic()
    with pytest.raises(BadInput) as caught:
        normalise_video(source, tmp_path / "normalised.mp4", limits=LIMITS)
    assert time.monotonic() - began < SECONDS_MAX
    assert_tells_what_to_do(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("maker", make.HOSTILE_VIDEOS, ids=lambda maker: maker.__name__)
def test_a_hostile_video_is_refused_by_the_probe_too(maker: Maker, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        probe(maker(tmp_path), limits=LIMITS)


@pytest.mark.parametrize("maker", make.HOSTILE_STILLS, ids=lambda maker: maker.__name__)
def test_a_hostile_still_is_refused_with_advice(maker: Maker, tmp_path: Path) -> None:
    source = maker(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    began = time.monotonic()
    with pytest.raises(BadInput) as caught:
        normalise_still(source, tmp_path / "normalised.png", limits=LIMITS)
    assert time.monotonic() - began < SECONDS_MAX
    assert_tells_what_to_do(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_hides_under_transparency_is_handed_to_the_gate(tmp_path: Path) -> None:
    result = normalise_still(make.hidden_under_alpha(tmp_path), tmp_path / "still.png", limits=LIMITS)
    shown = read_still(result.path)
    assert result.under_alpha_path is not None
    beneath = read_still(result.under_alpha_path)
    assert shown[50, 100].tolist() == [128, 128, 128]
    assert beneath[50, 100].tolist() == [250, 20, 20]


def test_a_wrong_file_name_ending_does_not_matter(tmp_path: Path) -> None:
    result = normalise_still(make.wrong_extension(tmp_path), tmp_path / "still.png", limits=LIMITS)
    assert (result.width, result.height, result.under_alpha_path) == (96, 80, None)


def test_a_header_that_lies_about_the_size_gets_no_more_than_the_limits(tmp_path: Path) -> None:
    result = normalise_video(make.huge_dimensions(tmp_path), tmp_path / "normalised.mp4", limits=LIMITS)
    assert max(result.width, result.height) < 256


def test_a_playlist_is_never_opened_as_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="whatever its name says"):
        stream_untrusted(make.text_named_mp4(tmp_path), limits=LIMITS)


def test_time_stamps_before_zero_are_counted_from_the_first_frame(tmp_path: Path) -> None:
    clip = make.write_clip(
        tmp_path / "early.mkv", ticks=[-1000 + 40 * index for index in range(10)], tick_s=make.Fraction(1, 1000)
    )
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.frame_rate, result.frame_count) == (25, 10)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_clip_that_breaks_off_is_refused_or_ends_early_but_never_hangs(cut: float, tmp_path: Path) -> None:
    whole = make.write_clip(tmp_path / "whole.mkv", frames=50).read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole[: int(len(whole) * cut)])
    frames = sum(len(batch) for batch in stream_untrusted(broken, limits=LIMITS).planes())
    assert 0 < frames < 50


def test_a_copy_with_a_flipped_byte_can_still_be_looked_at(tmp_path: Path) -> None:
    data = bytearray(make.write_clip(tmp_path / "whole.mp4", frames=50, options={"crf": "20", "g": "10"}).read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 3
    data[middle] ^= 0xFF
    (tmp_path / "flipped.mp4").write_bytes(data)
    clip = stream_untrusted(tmp_path / "flipped.mp4", limits=LIMITS)
    assert sum(len(batch) for batch in clip.planes()) >= 40


def claims_extents(places: bytes, count: int, sizes: int = 0) -> bytes:
    """The item boxes of a HEIC whose `iloc` says this."""
    return box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), struct.pack(">H", 1)),
        box(b"iloc", bytes(4), struct.pack(">HH", sizes, count), places),
        box(b"iinf", bytes(4), struct.pack(">H", 1), box(b"infe", b"\2\0\0\0", struct.pack(">HH", 1, 0), b"hvc1", b"\0")),
        box(
            b"iprp",
            box(b"ipco", box(b"ispe", bytes(4), struct.pack(">2I", 128, 128))),
            box(b"ipma", struct.pack(">IIHBB", 0, 1, 1, 1, 1)),
        ),
    )


def contents_of_the_first_item(picture: Path) -> bytes:
    file = HeifFile(picture.read_bytes())
    return file.content(file.item(1))


@pytest.mark.parametrize(
    ("places", "count", "sizes"),
    [
        (struct.pack(">HHH", 1, 0, 65_535), 1, 0),
        (struct.pack(">HHH", 1, 0, 2), 1, 0),
        (struct.pack(">HHH", 1, 0, 1) * 3000, 3000, 0),
        (struct.pack(">HHH", 1, 0, 4097) + struct.pack(">H", 1) * 4097, 1, 0x0200),
        (struct.pack(">HHH", 1, 0, 2) + struct.pack(">II", 0, 400) * 2, 1, 0x4400),
    ],
    ids=["no bytes, many", "no bytes, two", "one item, many places", "too many", "twice the same bytes"],
)
def test_pieces_of_a_phone_photo_that_cost_no_bytes_are_refused(tmp_path: Path, places: bytes, count: int, sizes: int) -> None:
    picture = tmp_path / "pieces.heic"
    picture.write_bytes(box(b"ftyp", b"heic", bytes(4), b"mif1heic") + claims_extents(places, count, sizes))
    with pytest.raises(BadInput) as caught:
        contents_of_the_first_item(picture)
    assert_tells_what_to_do(caught.value)


def test_no_bent_byte_of_a_phone_photo_gets_past_the_reader(tmp_path: Path) -> None:
    """Three hundred HEIC files with flipped bits in their boxes are read or refused; nothing else happens."""
    whole = make.write_heic(tmp_path / "photo.heic", [[60, 120], [180, 220]], turn=1, mirror=0).read_bytes()
    picture, rng = tmp_path / "bent.heic", np.random.default_rng(7)
    refused = 0
    for _ in range(300):
        bent = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(8, whole.index(b"mdat"), rng.integers(1, 4))
        bent[places] = rng.choice([0, 1, 127, 255], places.size)
        picture.write_bytes(bent.tobytes()[: len(bent) if rng.random() < 0.9 else int(rng.integers(20, len(bent)))])
        try:
            still.normalise(picture, LIMITS)
        except BadInput as error:
            refused += 1
            assert_tells_what_to_do(error)
    assert refused > 50
