"""Wide gamut and high dynamic range brought to BT.709, as one look-up table per clip.

The table maps R'G'B' codes of the source to BT.709 R'G'B' for a display with a gamma of 2.4 (ITU-R BT.1886). HDR is first made
display light in cd/m2 (ITU-R BT.2100: PQ, or HLG at a peak of 1000), then its intensity in ICtCp goes through the EETF of ITU-R
BT.2390 (section 5.4) down to a peak of 203 cd/m2, HDR reference white by ITU-R BT.2408: nothing below about 95 cd/m2 changes.
Colours outside BT.709 lose saturation, not hue or lightness, until they fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transfer = Literal["pq", "hlg", "sdr"]
Primaries = Literal["bt709", "bt2020", "p3"]
Array = NDArray[np.float64]

GRID = 64  # samples a side of the table
REFERENCE_WHITE = 203.0  # cd/m2
DEFAULT_PEAK = 1000.0
PQ_PEAK = 10_000.0
DISPLAY_GAMMA = 2.4
HLG_A, HLG_B, HLG_C, HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # SMPTE ST 2084

LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593])
LUMA_BT709 = np.array([0.2126, 0.7152, 0.0722])
XY = {  # chromaticities of red, green and blue; the white of all three is D65
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
D65 = (0.3127, 0.3290)
RGB_TO_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
LMS_TO_ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096


@dataclass(frozen=True, slots=True)
class Grade:
    """How the R'G'B' of a clip are to be read. peak: brightest content in cd/m2, of HDR."""

    transfer: Transfer
    primaries: Primaries
    peak: float = DEFAULT_PEAK


def table(grade: Grade, size: int = GRID) -> Array:
    """BT.709 R'G'B' in 0..1 for every R'G'B' on a grid: float64 (size**3, 3), red changing fastest."""
    axis = np.linspace(0.0, 1.0, size)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    return to_bt709(np.stack((red, green, blue), -1).reshape(-1, 3), grade)


def to_bt709(codes: Array, grade: Grade) -> Array:
    """R'G'B' codes (N, 3) in 0..1 of the source as BT.709 R'G'B' in 0..1."""
    if grade.transfer == "sdr":
        linear = codes**DISPLAY_GAMMA @ conversion(grade.primaries, "bt709").T
    else:
        light = (pq_to_light(codes) if grade.transfer == "pq" else hlg_to_light(codes)) @ conversion(grade.primaries, "bt2020").T
        linear = tone_mapped(light, grade.peak) / REFERENCE_WHITE @ conversion("bt2020", "bt709").T
    encoded: Array = fitted(linear) ** (1 / DISPLAY_GAMMA)
    return encoded


def tone_mapped(light: Array, peak: float) -> Array:
    """BT.2020 display light (N, 3) in cd/m2 with its intensity brought under the reference white."""
    ictcp = light_to_pq(light @ RGB_TO_LMS.T) @ LMS_TO_ICTCP.T
    before = np.maximum(ictcp[:, :1], 1e-6)
    after = eetf(before, peak)
    less = np.minimum(after / before, before / after)
    lms = np.concatenate((after, ictcp[:, 1:] * less), 1) @ np.linalg.inv(LMS_TO_ICTCP).T
    mapped: Array = pq_to_light(np.clip(lms, 0.0, 1.0)) @ np.linalg.inv(RGB_TO_LMS).T
    return mapped


def eetf(intensity: Array, peak: float) -> Array:
    """PQ intensity -> PQ intensity: straight up to a knee, then a Hermite spline to the reference white."""
    top = light_to_pq(np.array(max(peak, REFERENCE_WHITE)))
    most = light_to_pq(np.array(REFERENCE_WHITE)) / top
    knee = 1.5 * most - 0.5
    position = np.clip(intensity / top, 0.0, 1.0)
    t = np.maximum(position - knee, 0.0) / max(1.0 - float(knee), 1e-9)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    mapped: Array = np.where(position < knee, position, spline) * top
    return mapped


def fitted(linear: Array) -> Array:
    """Linear BT.709 (N, 3) drawn towards the grey of its luminance until every channel lies in 0..1."""
    luminance = np.clip(linear @ LUMA_BT709, 0.0, 1.0)[:, None]
    away = linear - luminance
    room = np.where(away > 0, 1.0 - luminance, luminance)
    share = np.min(room / np.maximum(np.abs(away), 1e-12), axis=1, keepdims=True)
    inside: Array = np.clip(luminance + away * np.minimum(share, 1.0), 0.0, 1.0)
    return inside


def pq_to_light(codes: Array) -> Array:
    """Codes 0..1 -> cd/m2 (SMPTE ST 2084)."""
    power = codes ** (1 / M2)
    light: Array = PQ_PEAK * (np.maximum(power - C1, 0.0) / (C2 - C3 * power)) ** (1 / M1)
    return light


def light_to_pq(light: Array) -> Array:
    """cd/m2 -> codes 0..1 (SMPTE ST 2084)."""
    power = (np.maximum(light, 0.0) / PQ_PEAK) ** M1
    codes: Array = ((C1 + C2 * power) / (1 + C3 * power)) ** M2
    return codes


def hlg_to_light(codes: Array) -> Array:
    """Codes (N, 3) -> cd/m2 on the reference display of 1000 cd/m2: inverse OETF, then OOTF (ITU-R BT.2100, table 5)."""
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - HLG_C) / HLG_A) + HLG_B) / 12)
    luminance = np.maximum(scene @ LUMA_BT2020, 1e-9)[:, None]
    light: Array = DEFAULT_PEAK * luminance ** (HLG_GAMMA - 1) * scene
    return light


def conversion(source: Primaries, target: Primaries) -> Array:
    """3x3 between linear RGB of two sets of primaries."""
    matrix: Array = np.linalg.inv(_to_xyz(target)) @ _to_xyz(source)
    return matrix


def _to_xyz(primaries: Primaries) -> Array:
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in XY[primaries]]).T
    white = np.array([D65[0] / D65[1], 1.0, (1 - D65[0] - D65[1]) / D65[1]])
    scaled: Array = columns * np.linalg.solve(columns, white)
    return scaled
