"""Whether a face shows enough to be matched: size, sharpness and turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)  # outer and inner corner
CHEEKS = (234, 454)  # the two ends of the face oval at the height of the ears
NOSE_TIP = 1
CHIP_PX = 96
MIN_INTER_OCULAR_PX = 20.0
MIN_SHARPNESS = 12.0
FAINT_SHARPNESS = 1.0  # below it, in a fade from black or far out of focus, a face is unlike its own person too
MAX_TURN = 0.62
FAR_TURN = 0.85  # up to here a view shows who it is not: measured 0.25 to oneself and 0.64 to others with dlib
GOOD_INTER_OCULAR_PX = 60.0
GOOD_SHARPNESS = 150.0
LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709-6, item 3.2


@dataclass(frozen=True, slots=True)
class Quality:
    """inter_ocular_px: between the middles of the eyes. sharpness: variance of the Laplacian on a chip of fixed size.
    turn: 0 looks at the camera, 1 is a profile.
    """

    inter_ocular_px: float
    sharpness: float
    turn: float

    @property
    def note(self) -> str:
        """Why the face cannot be matched, or an empty string when it can."""
        if not self.inter_ocular_px >= MIN_INTER_OCULAR_PX:
            return f"too small ({self.inter_ocular_px:.0f} px between the eyes, {MIN_INTER_OCULAR_PX:.0f} are needed)"
        if not self.sharpness >= MIN_SHARPNESS:
            return "too blurred"
        if not self.turn <= MAX_TURN:
            return "turned too far away"
        return ""

    @property
    def score(self) -> float:
        """0..1: how good a template this view makes; 1 is large, sharp and towards the camera."""
        size = min(1.0, self.inter_ocular_px / GOOD_INTER_OCULAR_PX)
        sharpness = min(1.0, self.sharpness / GOOD_SHARPNESS)
        return float((size * sharpness * (1.0 - self.turn)) ** (1.0 / 3.0))

    @property
    def matchable(self) -> bool:
        """Whether an embedding of this view can be trusted."""
        return not self.note

    @property
    def may_contradict(self) -> bool:
        """Whether nothing but blur, or nothing but the turn, keeps the view from being matched: it vouches for nobody, and can
        still show somebody else.
        """
        blurred = self.sharpness >= FAINT_SHARPNESS and replace(self, sharpness=MIN_SHARPNESS).matchable
        turned = self.turn <= FAR_TURN and replace(self, turn=0.0).matchable
        return not self.matchable and (blurred or turned)


def inter_ocular_px(landmarks: NDArray[np.float32]) -> float:
    """Distance between the middles of the eyes of landmarks (478, 3), in pixels."""
    right, left = (landmarks[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE))
    return float(np.linalg.norm(left - right))


def turn_of(landmarks: NDArray[np.float32]) -> float:
    """How far the head is turned: the nose's place between the cheeks, along the line that joins them; 0 middle, 1 end."""
    right, left = landmarks[CHEEKS[0], :2], landmarks[CHEEKS[1], :2]
    across = left - right
    length_squared = float(across @ across)
    if length_squared <= 0.0:
        return 1.0
    place = float((landmarks[NOSE_TIP, :2] - right) @ across) / length_squared
    return min(1.0, abs(2.0 * place - 1.0))


def sharpness_of(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., 2000) of the face's luma, shrunk to a chip of fixed size.

    image: uint8 RGB (H, W, 3). The fixed size makes the figure comparable between large and small faces.
    """
    height, width = image.shape[:2]
    low = np.floor(landmarks[:, :2].min(axis=0)).astype(int).clip(0)
    high = np.ceil(landmarks[:, :2].max(axis=0)).astype(int) + 1
    x0, y0, x1, y1 = int(low[0]), int(low[1]), min(int(high[0]), width), min(int(high[1]), height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return 0.0
    crop = torch.from_numpy(np.ascontiguousarray(image[y0:y1, x0:x1])).float() @ torch.tensor(LUMA)
    chip = functional.interpolate(crop[None, None], size=(CHIP_PX, CHIP_PX), mode="bilinear", antialias=True, align_corners=False)
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return float(functional.conv2d(chip, kernel[None, None]).var())


def measure(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Quality:
    """Measure one view of a face: image uint8 RGB (H, W, 3), landmarks (478, 3) in its pixels."""
    return Quality(inter_ocular_px(landmarks), sharpness_of(image, landmarks), turn_of(landmarks))
