"""Crops, mirrorings, insets and other speeds of a clip are recognised for what they are, and edits show through them."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from provenance_samples import RATE, Frames, fingerprint_of, performance

from provenance.fingerprint import align, hypotheses
from provenance.fingerprint.compare import compare
from provenance.fingerprint.geometry import PLAIN, Placement, area_weights, placements, refined
from provenance.fingerprint.hypotheses import Hypothesis, likeliest
from provenance.fingerprint.lattice import lattice
from provenance.fingerprint.tolerances import DEFAULT
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter, by_cell
from provenance.fingerprint.windows import Course
from provenance.signals import Agreement, PictureSignal

comparing = import_module("provenance.fingerprint.compare")
SECONDS = 4
MOUTH = np.s_[RATE : 3 * RATE, 112:150, 96:160]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return performance(seconds=SECONDS)


@pytest.fixture(scope="module")
def stored(frames: Frames) -> VideoFingerprint:
    return fingerprint_of(frames)


def against(changed: Frames, stored: VideoFingerprint) -> PictureSignal:
    return compare(fingerprint_of(np.ascontiguousarray(changed)), stored)


def cropped(frames: Frames) -> Frames:
    """To nine tenths, off the centre: of 192 rows and 256 columns."""
    return frames[:, 4:177, 18:248]


def test_a_cropped_and_mirrored_copy_agrees_and_says_which_part_it_shows(frames: Frames, stored: VideoFingerprint) -> None:
    signal = against(cropped(frames)[:, :, ::-1], stored)
    assert signal.agreement is Agreement.AGREES
    assert signal.mirrored
    assert signal.shown == pytest.approx((4 / 192, 18 / 256, 177 / 192, 248 / 256), abs=0.006)
    assert "mirrored" in signal.note
    assert "cropped" in signal.note


@pytest.mark.parametrize(
    "view",
    [lambda f: f[:, :, ::-1], lambda f: f[:, 6:186, 8:248], lambda f: cropped(f)[:, :, ::-1]],
    ids=["mirrored", "cropped", "both"],
)
def test_what_differs_all_along_is_no_matter_of_the_view(
    view: Callable[[Frames], Frames], frames: Frames, stored: VideoFingerprint
) -> None:
    """A sign lightened by twelve levels: less than the detail within its cells, and as plain to see as in the plain view."""
    assert against(view(frames), stored).agreement is Agreement.AGREES
    edited = frames.copy()
    edited[:, 120:180, 30:90] = edited[:, 120:180, 30:90].clip(0, 243) + 12
    signal = against(view(edited), stored)
    assert signal.agreement is Agreement.IN_PART
    assert all(second.regions for second in signal.seconds)


def test_a_cropped_excerpt_says_where_it_starts(frames: Frames, stored: VideoFingerprint) -> None:
    signal = against(cropped(frames)[RATE:], stored)
    assert signal.agreement is Agreement.AGREES
    assert signal.offset_s == pytest.approx(1.0, abs=0.03)


def test_a_mouth_from_another_performance_shows_in_a_cropped_mirrored_copy(frames: Frames, stored: VideoFingerprint) -> None:
    dubbed = frames.copy()
    dubbed[MOUTH] = performance(driver=3, seconds=SECONDS)[MOUTH]
    signal = against(cropped(dubbed)[:, :, ::-1], stored)
    assert signal.agreement is Agreement.IN_PART
    changed = {second.start_s for second in signal.seconds if second.regions}
    assert changed
    assert changed <= {1.0, 2.0}
    assert all(region // 4 in (2, 3) for second in signal.seconds for region in second.regions)


def test_regions_of_a_mirrored_copy_are_those_of_the_file(frames: Frames, stored: VideoFingerprint) -> None:
    marked = frames.copy()
    marked[RATE : 2 * RATE, :40, :50] = 16  # top left before it is mirrored
    signal = against(marked[:, :, ::-1], stored)
    assert {region for second in signal.seconds for region in second.regions} == {3}


@pytest.mark.parametrize("driver", [3, 4])
def test_another_performance_contradicts_through_a_crop_and_a_mirror(driver: int, stored: VideoFingerprint) -> None:
    signal = against(cropped(performance(driver=driver, seconds=SECONDS))[:, :, ::-1], stored)
    assert signal.agreement is Agreement.CONTRADICTS


def test_an_inset_is_found_and_everything_around_it_is_not_ours(frames: Frames, stored: VideoFingerprint) -> None:
    around = performance(portrait=5, driver=5, seconds=SECONDS, height=432, width=768)
    around[:, 30:222, 30:286] = frames
    signal = against(around, stored)
    assert signal.agreement is Agreement.IN_PART
    assert signal.shown == pytest.approx((-30 / 192, -30 / 256, 402 / 192, 738 / 256), abs=0.05)
    assert all({3, 7, 11, 12, 13, 14, 15} <= set(second.regions) for second in signal.seconds)


def test_a_caption_bar_below_is_not_ours_and_the_rest_is(frames: Frames, stored: VideoFingerprint) -> None:
    signal = against(np.pad(frames, ((0, 0), (0, 48), (0, 0)), constant_values=200), stored)
    assert signal.agreement is Agreement.IN_PART
    assert all(set(second.regions) == {12, 13, 14, 15} for second in signal.seconds)


@pytest.mark.parametrize("speed", [1.15, 0.87])
def test_another_speed_is_recognised_and_neither_agrees_nor_contradicts(
    speed: float, frames: Frames, stored: VideoFingerprint
) -> None:
    moments = np.arange(0, len(frames) - 1, speed)
    signal = against(frames[moments.astype(int)], stored)
    assert signal.agreement is Agreement.IN_PART
    assert signal.speed == pytest.approx(speed, abs=0.02)


def test_bars_are_found_behind_a_fade_from_black(frames: Frames) -> None:
    barred = np.pad(frames, ((0, 0), (24, 24), (0, 0)), constant_values=16)
    faded = np.concatenate([np.full((5, *barred.shape[1:]), 16, np.uint8), barred])
    assert np.array_equal(fingerprint_of(faded).cells[8:20], fingerprint_of(np.roll(frames, 5, axis=0)).cells[8:20])


@pytest.mark.parametrize(
    "place",
    [
        Placement(0.03, 0.07, 0.93, 0.97),
        Placement(0.0, 0.34, 1.0, 0.66),
        Placement(-0.4, -0.6, 1.9, 1.7),
        Placement(0.0, 0.0, 1.2, 1.0),
        Placement(0.1, 0.05, 0.9, 0.85, mirrored=True),
    ],
)
def test_a_placement_is_found_to_a_hundredth(place: Placement, stored: VideoFingerprint) -> None:
    record = stored.layout.astype(float)
    rows, inside_rows = area_weights(place.top * 64, place.bottom * 64, 64, 64)
    columns, inside_columns = area_weights(place.left * 64, place.right * 64, 64, 64)
    noise = np.random.default_rng(2).normal(120, 40, (64, 64))
    seen = np.where(inside_rows[:, None] & inside_columns[None], rows @ record @ columns.T, noise)
    found = placements(seen[:, ::-1] if place.mirrored else seen, record)[0]
    assert found.placement.mirrored is place.mirrored
    edges = [(found.placement.top, place.top), (found.placement.left, place.left), (found.placement.bottom, place.bottom)]
    assert all(one == pytest.approx(other, abs=0.01 * place.scale) for one, other in edges)


def test_a_place_too_small_to_show_motion_is_not_given_up_for_a_worse_one_that_shows_a_little(
    stored: VideoFingerprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As measured on footage at 45% of the height: given up, the mirrored place contradicted the clip's own record."""
    inset, wrong = Placement(-0.8, -0.1, 1.4, 3.7), Placement(-0.8, -2.7, 1.4, 1.1, mirrored=True)
    cells = lattice(PLAIN)
    assert cells is not None
    tried = [Hypothesis(cells, inset, 0.987, 0.0, None), Hypothesis(cells, wrong, 0.957, 0.0, 0.281)]
    monkeypatch.setattr(hypotheses, "_hypotheses", lambda *_: iter(tried))
    best = likeliest(stored, stored, DEFAULT, thorough=False)
    assert best is not None
    assert best.placement == inset


def test_motion_that_cannot_be_made_out_contradicts_only_where_activity_runs_otherwise_too(
    monkeypatch: pytest.MonkeyPatch, frames: Frames, stored: VideoFingerprint
) -> None:
    # one half of a split screen: the right place, and next to it somebody whose motion drowns the record's
    lying = likeliest(fingerprint_of(frames), stored, DEFAULT, thorough=True)
    assert lying is not None
    drowned = replace(lying, correlation=0.958, motion=0.362)
    monkeypatch.setattr(comparing, "likeliest", lambda *args, **options: drowned)
    halves = np.concatenate([frames[:, :, :128], performance(driver=2, seconds=SECONDS)[:, :, 128:]], axis=2)
    assert against(halves, stored).agreement is not Agreement.CONTRADICTS
    assert against(performance(driver=2, seconds=SECONDS), stored).agreement is Agreement.CONTRADICTS


def test_a_place_without_overlap_has_no_lattice() -> None:
    assert lattice(Placement(0.98, 0.0, 1.98, 1.0)) is None
    assert lattice(PLAIN) is not None


def test_a_flat_picture_is_found_nowhere() -> None:
    assert refined(np.full((64, 64), 90.0), np.full((64, 64), 90.0), PLAIN).correlation == 0.0


def test_long_clips_are_aligned_without_comparing_every_pair(
    frames: Frames, stored: VideoFingerprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(align, "_EXHAUSTIVE", 0)
    assert against(frames[RATE:], stored).offset_s == pytest.approx(1.0, abs=0.03)


def test_fingerprints_of_records_sealed_before_are_still_read(frames: Frames, stored: VideoFingerprint) -> None:
    coarse = np.stack([np.rint(by_cell(cells.astype(float), 16)) for cells in stored.cells]).astype(np.uint8)
    steps = b"".join(
        np.diff(values, axis=0, prepend=np.zeros((1, 16, 16), np.uint8)).tobytes() for values in (coarse, stored.spreads)
    )
    header = struct.pack("<4sBBBBId", b"CSVF", 2, 8, 16, 64, len(coarse), stored.duration_s)
    old = VideoFingerprint.from_bytes(header + stored.layout.tobytes() + zlib.compress(steps))
    assert compare(stored, old).agreement is Agreement.AGREES


def test_windows_of_a_copy_are_those_of_the_clip_mirrored_or_not(frames: Frames, stored: VideoFingerprint) -> None:
    fingerprinter = VideoFingerprinter()
    assert Course.of(fingerprinter.finish()).windows() == []
    own = Course.of(stored).windows()
    times_s = [window.at_s for window in own]
    mirrored = Course.of(fingerprint_of(np.ascontiguousarray(frames[:, :, ::-1])), mirrored=True).at(times_s)[:, 0]
    assert all(window.vector @ other > 0.98 for window, other in zip(own, mirrored, strict=True))
    assert all(later - earlier <= 0.6 for earlier, later in itertools.pairwise(times_s))
