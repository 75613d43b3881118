"""The video watermark: a keyed, synchronised spread-spectrum tile in luma and blue difference, read back after re-encoding."""

from .detector import Detection, Detector, Mark
from .embedder import Embedder
from .errors import FrameSizeChanged, PictureTooSmall, WatermarkError
from .geometry import Geometry
from .keystream import derive_key
from .schemes import SCHEME_1, SCHEME_2, SCHEMES, Scheme
from .self_test import Margin, margin, margin_of

__all__ = [
    "SCHEMES",
    "SCHEME_1",
    "SCHEME_2",
    "Detection",
    "Detector",
    "Embedder",
    "FrameSizeChanged",
    "Geometry",
    "Margin",
    "Mark",
    "PictureTooSmall",
    "Scheme",
    "WatermarkError",
    "derive_key",
    "margin",
    "margin_of",
]
