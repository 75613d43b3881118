"""The yardsticks of the animation benchmark, on faces and pictures whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from tests.bench.animation import metrics, report, sheets

FRAMES = 24


def face() -> np.ndarray:
    """A made-up face (478, 3): a grid bent like a head, eyes 60 pixels apart, its mouth a little open."""
    rng = np.random.default_rng(3)
    points = np.stack([rng.uniform(-80, 80, 478), rng.uniform(-100, 100, 478), np.zeros(478)], 1)
    points[list(metrics.RIGHT_EYE), :2] = [(-45, -30), (-15, -30)]
    points[list(metrics.LEFT_EYE), :2] = [(15, -30), (45, -30)]
    for pairs, corners in metrics.LIDS:
        middle = points[list(corners)].mean(axis=0)
        for upper, lower in pairs:
            points[upper], points[lower] = middle - np.array([0, 4, 0]), middle + np.array([0, 4, 0])
    points[13], points[14] = (0, 40, 0), (0, 46, 0)
    points[234], points[454] = (-85, 0, 0), (85, 0, 0)
    points[:, 2] = (points[:, 0] ** 2 + points[:, 1] ** 2) / 150
    return points


def turned(points: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """Turned about the picture's axis 0 (pitch), 1 (yaw) or 2 (roll)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [i for i in range(3) if i != axis]
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = cos
    rotation[first, second], rotation[second, first] = (sin, -sin) if axis == 1 else (-sin, sin)
    return points @ rotation.T


def clip(*, centre: tuple[float, float] = (200.0, 200.0), scale: float = 1.0) -> np.ndarray:
    """A head that turns and nods with a mouth that opens and eyes that close: (24, 478, 3)."""
    moments = []
    for i in range(FRAMES):
        points = face()
        points[14, 1] += 10 * (1 + np.sin(i))
        for pairs, _ in metrics.LIDS:
            for upper, _lower in pairs:
                points[upper, 1] += 3 * (1 + np.cos(1.7 * i))
        points = turned(turned(points, 12 * np.sin(i / 3), 1), 8 * np.cos(i / 4), 0)
        moments.append(points * scale + (*centre, 0))
    return np.stack(moments)


@pytest.mark.parametrize(("axis", "column"), [(1, 0), (0, 1), (2, 2)])
def test_a_head_turned_by_ten_degrees_is_measured_as_turned_by_ten_degrees(axis: int, column: int) -> None:
    angles = metrics.head_angles(np.stack([face(), turned(face(), 10, axis)]), reference=0)
    assert angles[1, column] == pytest.approx(10, abs=1e-6)
    assert np.abs(np.delete(angles[1], column)).max() < 1e-6


def test_frames_without_a_face_have_no_angles_and_do_not_count() -> None:
    driver, output = clip(), clip()
    output[5] = np.nan
    assert np.isnan(metrics.head_angles(output)[5]).all()
    assert metrics.performance_correlations(output, driver)["mouth"] == pytest.approx(1.0)


def test_a_performance_on_a_larger_face_elsewhere_correlates_fully() -> None:
    figures = metrics.performance_correlations(clip(centre=(50, 400), scale=2.5), clip())
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0), abs=1e-6)


def test_an_output_that_lags_by_four_frames_correlates_less() -> None:
    driver = clip()
    assert metrics.performance_correlations(np.roll(driver, 4, axis=0), driver)["mouth"] < 0.9


def test_a_correlation_of_what_never_moves_is_no_figure() -> None:
    assert np.isnan(metrics.correlation(np.ones(FRAMES), np.arange(FRAMES, dtype=float)))


def test_a_face_shifted_by_three_of_sixty_pixels_is_five_percent_off() -> None:
    truth = face()[None]
    assert metrics.landmark_error_percent(truth + np.array([3, 0, 0]), truth) == pytest.approx([5.0])


def test_the_face_box_is_the_landmarks_and_a_tenth_more_within_the_picture() -> None:
    points = face()
    points[:468, 0] = np.linspace(100, 200, 468)
    points[:468, 1] = np.linspace(5, 205, 468)
    assert metrics.face_box(points, 400, 300) == (90, 0, 210, 225)


def test_noise_of_five_code_values_gives_34_decibels() -> None:
    noisy = np.clip(128 + np.random.default_rng(0).normal(0, 5, (128, 128, 3)), 0, 255).round().astype(np.uint8)
    assert metrics.psnr(noisy, np.full_like(noisy, 128)) == pytest.approx(34.15, abs=0.1)


def test_a_perfect_face_before_a_wrong_background_reaches_the_limit_of_the_box() -> None:
    given = astronaut()[None]
    points = face()[None] * 0.5 + (225, 125, 0)
    inside = metrics.face_outline(points[0], 512, 512)
    made = np.where(inside[None, ..., None], given, np.uint8(0))
    found = metrics.face_fidelity(made, given, points, np.zeros((1, 512, 512), bool))
    assert found.psnr_db == pytest.approx(found.box_limit_psnr_db)
    assert found.outline_psnr_db > 100 > found.psnr_db
    assert found.outline_ssim > found.ssim


def test_jitter_is_measured_at_512_rows() -> None:
    still = np.repeat(face()[None], 40, axis=0)
    still[::2, :, 0] += 1.0
    assert metrics.landmark_jitter_px(still, short_side=512) == pytest.approx(0.5)
    assert metrics.landmark_jitter_px(still, short_side=1024) == pytest.approx(0.25)


def test_a_picture_that_sways_by_a_pixel_is_measured_by_its_pixels() -> None:
    picture = Image.fromarray(astronaut())
    sway = [picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, 0), Image.Resampling.BICUBIC) for x in (0, 1)]
    frames = np.stack([np.asarray(sway[i % 2]) for i in range(12)])
    where = np.repeat((face() * 0.5 + (225, 125, 0))[None], 12, axis=0)
    assert metrics.picture_jitter_px(frames, where) == pytest.approx(0.5, abs=0.05)
    assert metrics.picture_jitter_px(np.repeat(frames[:1], 12, axis=0), where) == 0


def test_even_change_is_no_flicker_and_blinking_light_is() -> None:
    ramp = np.stack([np.full((32, 32, 3), 40 + 2 * i, np.uint8) for i in range(8)])
    blinking = np.stack([np.full((32, 32, 3), 40 + 2 * (i % 2), np.uint8) for i in range(8)])
    assert metrics.flicker(ramp) == pytest.approx(0, abs=1e-3)
    assert metrics.flicker(blinking) == pytest.approx(4, abs=1e-3)


def test_the_sheet_shows_the_extremes() -> None:
    landmarks = clip()
    moments = dict(sheets.telling_moments(landmarks))
    widest = int(metrics.mouth_opening(landmarks).argmax())
    assert "mouth" in moments[widest]
    assert len(moments) == sheets.MOMENTS


def test_what_could_not_be_measured_is_null_in_the_report() -> None:
    assert report.as_json("x", {"a": float("nan"), "b": [1.23456]}) == '{"bench": "x", "a": null, "b": [1.2346]}'
