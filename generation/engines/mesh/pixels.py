"""Work on the pixels of pictures (H, W, C) on the processor, by OpenCV: several times the speed of the same in torch."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", np.uint8, np.float32)
NO_SECOND_MAP: Any = None  # both coordinates lie in the first; the stubs of OpenCV do not know of it
Levels = NDArray[np.uint8]
Reals = NDArray[np.float32]


def spread(points: Reals, step: int) -> Reals:
    """A map whose points are `step` pixels apart brought to the pixels by straight lines.

    points: (h + 2, w + 2, C), each in the middle of a cell of step x step pixels. Returns (h step, w step, C) for the cells
    inside: the outermost points only lead there.
    """
    size = points.shape[1] * step, points.shape[0] * step
    full = cv2.resize(points, size, interpolation=cv2.INTER_LINEAR)
    return full[step:-step, step:-step].view(np.float32)


def sampled(picture: NDArray[Pixel], places: Reals, *, sharp: bool) -> NDArray[Pixel]:
    """Colours (h, w, C) at places x, y (h, w, 2), in pixels from the middle of the first, edges held; by cubics when `sharp`.

    picture: uint8, or float32 whose colours may then overshoot. No side of either may be longer than 32,766.
    """
    curve = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    found = cv2.remap(picture, places, NO_SECOND_MAP, curve, borderMode=cv2.BORDER_REPLICATE).view(picture.dtype)
    return found.reshape(*places.shape[:2], picture.shape[2])


def lay(target: Levels, skin: Levels, plate: Levels | None, share: Reals | None) -> None:
    """Draw skin over a plate into a part of a picture (h, w, 3), in place.

    skin: (h, w, 4) colour times alpha and alpha; plate: (h, w, 3), or None where the skin hides it; share: (h, w) how much of
    each pixel is drawn, None for all.
    """
    colours = cv2.cvtColor(skin, cv2.COLOR_RGBA2RGB, dst=target if plate is None and share is None else None)
    if plate is not None:
        shows = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(skin, 3)), cv2.COLOR_GRAY2RGB)
        cv2.multiply(plate, shows, dst=shows, scale=1 / 255)
        cv2.add(colours, shows, dst=target if share is None else colours)
    if share is not None:
        cv2.blendLinear(colours, target, share, 1 - share, dst=target)
