"""What the animation benchmark measures, as pure functions on arrays.

Landmarks are float (T, 478, 3) in pixels of their frames, NaN where no face was found; frames are uint8 RGB (T, H, W, 3).
Two clips of one performance have the same T. A figure that cannot be computed is NaN, never a guess.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask
from skimage.metrics import structural_similarity

Floats = NDArray[np.floating]
Frames = NDArray[np.uint8]

FACE_POINTS = 468  # the last ten belong to the irises
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)  # corners of the subject's eyes
INNER_LIPS = (13, 14)
MOUTH_CORNERS = (61, 291)
IRISES = (468, 473)
FOREHEAD, CHIN = 10, 152
# lid points above and below the middle of each eye, and its corners
LIDS = ((((159, 145), (158, 153), (160, 144)), RIGHT_EYE), (((386, 374), (385, 380), (387, 373)), LEFT_EYE))
# bridge and side of the nose, eye corners, temples, forehead: they keep still while a face talks
RIGID = (6, 168, 197, 195, 5, 33, 133, 362, 263, 127, 356, 234, 454, 10, 67, 297, 109, 338, 151, 9, 54, 284)
BOX_MARGIN = 0.10
LUMA = (0.2126, 0.7152, 0.0722)  # BT.709
MIN_PAIRS = 8


def eye_distance(landmarks: Floats) -> Floats:
    """(T,): pixels between the middles of the eyes, the inter-ocular distance (IOD) of every percentage here."""
    middles = [landmarks[:, list(eye), :2].mean(axis=1) for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.linalg.norm(middles[0] - middles[1], axis=1)


def landmark_error_percent(measured: Floats, expected: Floats) -> Floats:
    """(T,): mean distance in the picture plane of the 468 face points, in percent of the expected face's IOD."""
    gaps = np.linalg.norm(measured[:, :FACE_POINTS, :2] - expected[:, :FACE_POINTS, :2], axis=2)
    return 100.0 * gaps.mean(axis=1) / eye_distance(expected)


def mouth_opening(landmarks: Floats) -> Floats:
    """(T,): gap between the inner lips in the picture, over the distance of the eyes in space, which no turn shortens."""
    return np.linalg.norm(landmarks[:, INNER_LIPS[0], :2] - landmarks[:, INNER_LIPS[1], :2], axis=1) / _size(landmarks)


def eye_opening(landmarks: Floats) -> Floats:
    """(T,): gap between the lids over the width of the eye (the eye aspect ratio of Soukupova and Cech, 2016), both averaged."""
    return np.mean([_aperture(landmarks, pairs, corners) for pairs, corners in LIDS], axis=0)


def _aperture(landmarks: Floats, pairs: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> Floats:
    gaps = [np.linalg.norm(landmarks[:, upper, :2] - landmarks[:, lower, :2], axis=1) for upper, lower in pairs]
    return np.mean(gaps, axis=0) / np.linalg.norm(landmarks[:, corners[0], :2] - landmarks[:, corners[1], :2], axis=1)


def _size(landmarks: Floats) -> Floats:
    """(T,): distance between the middles of the eyes in space."""
    return np.linalg.norm(landmarks[:, list(RIGHT_EYE)].mean(axis=1) - landmarks[:, list(LEFT_EYE)].mean(axis=1), axis=1)


def gaze(landmarks: Floats) -> Floats:
    """(T, 2, 2): where the iris of each eye sits from the middle of the eye's corners, across and down, in widths of the eye."""
    offsets = []
    for iris, eye in zip(IRISES, (RIGHT_EYE, LEFT_EYE), strict=True):
        corners = landmarks[:, list(eye), :2]  # the picture's left corner first
        across = corners[:, 1] - corners[:, 0]
        down = np.stack([-across[:, 1], across[:, 0]], axis=1)
        away = landmarks[:, iris, :2] - corners.mean(axis=1)
        along = [(away * axis).sum(axis=1) / (across**2).sum(axis=1) for axis in (across, down)]
        offsets.append(np.stack(along, axis=1))
    return np.stack(offsets, axis=1)


def corner_height(landmarks: Floats) -> Floats:
    """(T,): height of the corners of the mouth over the middle of the lips, along the face, over the distance of the eyes."""
    across = landmarks[:, LEFT_EYE[0], :2] - landmarks[:, RIGHT_EYE[1], :2]
    down = np.stack([-across[:, 1], across[:, 0]], axis=1) / np.linalg.norm(across, axis=1)[:, None]
    rise = landmarks[:, list(INNER_LIPS), :2].mean(axis=1) - landmarks[:, list(MOUTH_CORNERS), :2].mean(axis=1)
    return (rise * down).sum(axis=1) / _size(landmarks)


def middle_frame(landmarks: Floats, among: NDArray[np.bool_]) -> int:
    """The frame of the median yaw, of those named."""
    candidates = np.flatnonzero(among)
    cheeks = landmarks[candidates, 234, 2] - landmarks[candidates, 454, 2]
    return int(candidates[np.argsort(cheeks / eye_distance(landmarks[candidates]))[len(candidates) // 2]])


def head_angles(landmarks: Floats, reference: int | None = None) -> Floats:
    """(T, 3): yaw, pitch, roll in degrees against the frame `reference`, by default the one of the median yaw.

    Rotation of the rigid points onto the reference's (Kabsch 1976), taken apart as Ry Rx Rz.
    """
    found = np.isfinite(landmarks[:, 0, 0])
    angles = np.full((len(landmarks), 3), np.nan)
    if not found.any():
        return angles
    points = landmarks[:, list(RIGID)].astype(np.float64)
    points -= points.mean(axis=1, keepdims=True)
    start = points[middle_frame(landmarks, found) if reference is None else reference]
    for index in np.flatnonzero(found):
        angles[index] = _euler_degrees(_rotation(start, points[index]))
    return angles


def _rotation(source: Floats, target: Floats) -> Floats:
    """The rotation (3, 3) that turns centred points (N, 3) onto others with the least squared error."""
    left, _, right = np.linalg.svd(target.T @ source)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return left @ flip @ right


def _euler_degrees(rotation: Floats) -> tuple[float, float, float]:
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(-rotation[1, 2], -1.0, 1.0))
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def correlation(measured: Floats, expected: Floats) -> float:
    """Pearson's correlation over the moments that both have; NaN with fewer than eight or without any movement."""
    both = np.isfinite(measured) & np.isfinite(expected)
    if both.sum() < MIN_PAIRS or np.std(measured[both]) == 0 or np.std(expected[both]) == 0:
        return float("nan")
    return float(np.corrcoef(measured[both], expected[both])[0, 1])


def gain(measured: Floats, expected: Floats) -> float:
    """Slope of the straight line through one series over another: 1 where a movement comes over at full size."""
    both = np.isfinite(measured) & np.isfinite(expected)
    if both.sum() < MIN_PAIRS or np.std(expected[both]) == 0:
        return float("nan")
    return float(np.polyfit(expected[both], measured[both], 1)[0])


def performance_correlations(output: Floats, driver: Floats) -> dict[str, float]:
    """How well a performance came over: correlations of mouth and eye opening, yaw, pitch and roll."""
    both = np.isfinite(output[:, 0, 0]) & np.isfinite(driver[:, 0, 0])
    if both.sum() < MIN_PAIRS:
        return dict.fromkeys(("mouth", "eyes", "yaw", "pitch", "roll"), float("nan"))
    reference = middle_frame(driver, both)
    given, made = head_angles(driver, reference), head_angles(output, reference)
    figures = {
        "mouth": correlation(mouth_opening(output), mouth_opening(driver)),
        "eyes": correlation(eye_opening(output), eye_opening(driver)),
    }
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        figures[name] = correlation(made[:, axis], given[:, axis])
    return figures


def subtle_movements(landmarks: Floats) -> dict[str, Floats]:
    """Gaze across and down, both eyes averaged, and the height of the mouth's corners: one series each."""
    looking = gaze(landmarks).mean(axis=1)
    return {"gaze": looking[:, 0], "gaze_down": looking[:, 1], "corners": corner_height(landmarks)}


def subtle_transfer(output: Floats, driver: Floats) -> dict[str, float]:
    """Correlation and gain of the subtle movements, the latter as NAME_gain."""
    given, made = subtle_movements(driver), subtle_movements(output)
    figures = {name: correlation(made[name], given[name]) for name in given}
    return figures | {f"{name}_gain": gain(made[name], given[name]) for name in given}


def ranges(landmarks: Floats) -> dict[str, float]:
    """5th to 95th percentile of every movement, angles in degrees: a correlation needs some movement."""
    angles = head_angles(landmarks)
    values = {"mouth": mouth_opening(landmarks), "eyes": eye_opening(landmarks)}
    values |= subtle_movements(landmarks)
    values |= {name: angles[:, axis] for axis, name in enumerate(("yaw", "pitch", "roll"))}
    return {name: float(np.diff(np.nanpercentile(value, [5, 95]))[0]) for name, value in values.items()}


def face_box(landmarks: Floats, width: int, height: int) -> tuple[int, int, int, int]:
    """Rows and columns (x0, y0, x1, y1) of one face (478, 3): its landmark box and 10% of its sides more all around."""
    points = landmarks[:FACE_POINTS, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = BOX_MARGIN * (high - low)
    x0, y0 = np.floor(np.maximum(low - margin, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(high + margin, (width, height))).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def psnr(measured: Frames, expected: Frames) -> float:
    """Peak signal-to-noise ratio of two RGB pictures in dB."""
    error = np.mean((measured.astype(np.float64) - expected.astype(np.float64)) ** 2)
    return float(10 * np.log10(255.0**2 / max(error, 1e-12)))


def luma(frames: Frames) -> Floats:
    """float32 (..., H, W), 0..255."""
    return (frames @ np.array(LUMA, np.float32)).astype(np.float32)


def ssim_map(measured: Frames, expected: Frames) -> Floats:
    """(H, W): structural similarity of the luma of two pictures (Wang et al. 2004: Gaussian window, sigma 1.5)."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, similarity = structural_similarity(luma(measured), luma(expected), data_range=255.0, full=True, **window)
    values: Floats = similarity
    return values


def face_outline(landmarks: Floats, width: int, height: int) -> NDArray[np.bool_]:
    """(H, W): the pixels inside the convex hull of the face points (478, 3)."""
    points = landmarks[:FACE_POINTS, :2]
    corners = points[ConvexHull(points).vertices, ::-1]
    return polygon2mask((height, width), corners)


@dataclass(frozen=True)
class Fidelity:
    """Mean over the frames with a face, PSNR in dB: inside the face box, and of it only what lies inside the face's outline.

    box_limit_*: what the box would give if every pixel of the person were true. A head that moves uncovers a background that no
    still can know, and the box holds some of that.
    """

    psnr_db: float
    ssim: float
    outline_psnr_db: float
    outline_ssim: float
    box_limit_psnr_db: float
    box_limit_ssim: float


def face_fidelity(measured: Frames, expected: Frames, landmarks: Floats, person: NDArray[np.bool_]) -> Fidelity:
    """How true a clip is to another around the face at `landmarks`. Frames that are equal are left out.

    landmarks and person (T, H, W), the pixels that belong to the person, are those of `expected`.
    """
    rows = [
        _frame_fidelity(made, given, points, belongs)
        for made, given, points, belongs in zip(measured, expected, landmarks, person, strict=True)
        if np.isfinite(points[0, 0]) and not np.array_equal(made, given)
    ]
    return Fidelity(*(np.mean(rows, axis=0).tolist() if rows else [float("nan")] * 6))


def _frame_fidelity(made: Frames, given: Frames, points: Floats, person: NDArray[np.bool_]) -> tuple[float, ...]:
    height, width = given.shape[:2]
    x0, y0, x1, y1 = face_box(points, width, height)
    part = (slice(y0, y1), slice(x0, x1))
    inside = face_outline(points, width, height)[part]
    a, b = made[part], given[part]
    similarity = ssim_map(a, b)
    best = np.where((inside | person[part])[..., None], b, a)
    outline = (psnr(a[inside], b[inside]), float(similarity[inside].mean()))
    return psnr(a, b), float(similarity.mean()), *outline, psnr(best, b), float(ssim_map(best, b).mean())


def landmark_jitter_px(landmarks: Floats, short_side: int) -> float:
    """Root mean square movement of the face points around their mean place, in pixels of a picture of 512 rows.

    For clips of a face that keeps still. Holds the landmark network's own unrest, which on paintings exceeds half a pixel.
    """
    points = landmarks[np.isfinite(landmarks[:, 0, 0]), :FACE_POINTS, :2]
    return _spread(points) * 512 / short_side if len(points) >= MIN_PAIRS else float("nan")


def picture_jitter_px(frames: Frames, landmarks: Floats) -> float:
    """The same of up to 400 corners of the picture in the face box, followed by Lucas and Kanade's optical flow.

    Asks the pixels alone. landmarks: only to say where the face is.
    """
    seen = np.flatnonzero(np.isfinite(landmarks[:, 0, 0]))
    if len(seen) < MIN_PAIRS:
        return float("nan")
    height, width = frames.shape[1:3]
    x0, y0, x1, y1 = face_box(landmarks[seen[0]], width, height)
    face = np.zeros((height, width), np.uint8)
    face[y0:y1, x0:x1] = 255
    grey = [np.round(luma(frame)).astype(np.uint8) for frame in frames]
    middle = grey[len(grey) // 2]
    corners = cv2.goodFeaturesToTrack(middle, 400, 0.01, 3, mask=face)
    if corners is None:
        return float("nan")
    places, kept = [], np.ones(len(corners), bool)
    for picture in grey:
        moved, status, _ = cv2.calcOpticalFlowPyrLK(middle, picture, corners, None, winSize=(15, 15), maxLevel=2)
        places.append(moved.reshape(-1, 2))
        kept &= status.reshape(-1) == 1
    return _spread(np.stack(places)[:, kept]) * 512 / min(height, width)


def _spread(points: Floats) -> float:
    """Root mean square distance of points (T, N, 2) from their means in time."""
    away = points - points.mean(axis=0)
    return float(np.sqrt((away**2).sum(axis=2).mean()))


def flicker(frames: Frames, where: NDArray[np.bool_] | None = None) -> float:
    """Mean size of the second difference in time of the luma, in code values: what neither rest nor even motion has.

    where (H, W): the pixels that count, by default all.
    """
    region = np.ones(frames.shape[1:3], bool) if where is None else where
    grey = (luma(frame)[region] for frame in frames)
    window: deque[Floats] = deque(maxlen=3)
    sizes = []
    for values in grey:
        window.append(values)
        if len(window) == 3:
            sizes.append(float(np.abs(window[0] - 2 * window[1] + window[2]).mean()))
    return float(np.mean(sizes)) if sizes else float("nan")


def backdrop_flicker(frames: Frames, landmarks: Floats, away: float = 1.6) -> float:
    """`flicker` outside the face's surroundings: the union of all face boxes grown by `away` of their sides."""
    height, width = frames.shape[1:3]
    seen = landmarks[np.isfinite(landmarks[:, 0, 0])]
    outside = np.ones((height, width), bool)
    if len(seen):
        points = seen[:, :FACE_POINTS, :2].reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        grown_low, grown_high = low - away / 2 * (high - low), high + away / 2 * (high - low)
        x0, y0 = np.maximum(grown_low, 0).astype(int)
        x1, y1 = np.minimum(grown_high, (width, height)).astype(int)
        outside[y0:y1, x0:x1] = False
    if not outside.any():
        return float("nan")
    return flicker(frames, outside)
