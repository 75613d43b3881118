"""Stills: told from videos, decoded at arm's length, and compared with the clip they were cut from. Pure."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_still, read_still
from provenance.fingerprint.tolerances import DEFAULT, Tolerances
from provenance.fingerprint.video import REGIONS, VideoFingerprint
from provenance.signals import Agreement, PictureSignal

_JPEG, _PNG, _RIFF, _WEBP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP"
DECODE_CPU_SECONDS = 20  # an honest still takes one; a JPEG of a thousand scans takes minutes
LARGEST_SIDE_PX = 4096
_GAINS = (0.6, 1.67)  # contrast edits beyond this change what is seen


def is_still(path: Path) -> bool:
    """Whether a file begins as a JPEG, PNG or WebP image does."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith((_JPEG, _PNG)) or (head[:4], head[8:]) == (_RIFF, _WEBP)


def read_untrusted_still(path: Path, *, limits: MediaLimits) -> Tensor:
    """The picture of an untrusted image, uint8 RGB (H, W, 3), decoded in a limited child process.

    Raises BadInput, also for pictures that are too large to be searched here, and for transparent ones: they look different on
    every ground.
    """
    limits = replace(limits, decode_cpu_seconds=min(DECODE_CPU_SECONDS, limits.decode_cpu_seconds))
    with tempfile.TemporaryDirectory(prefix="still-") as folder:
        still = normalise_still(path, Path(folder) / "still.png", limits=limits)
        if still.under_alpha_path is not None:
            raise BadInput("the picture is transparent in places, so it shows different things; verify it without transparency")
        if max(still.width, still.height) > LARGEST_SIDE_PX:
            raise BadInput(f"the picture is {still.width}x{still.height}; verify it at {LARGEST_SIDE_PX} pixels or less a side")
        return read_still(still.path)


def compare_still(still: VideoFingerprint, record: VideoFingerprint, *, tolerances: Tolerances = DEFAULT) -> PictureSignal:
    """How a still, as the fingerprint of one frame, compares with the moment of a record that it looks most like.

    `agrees`: every region of the picture. Nothing here contradicts: a crop of our own frame may look like none of them.
    """
    query, cells = (side.cells.astype(np.float64) for side in (still, record))
    if not len(query) or not len(cells):
        return PictureSignal(Agreement.INCONCLUSIVE, note="no picture to compare")
    toned = np.stack([_in_tone(query[0], moment) for moment in cells])
    # A slot is the mean of some frames: what moves within it is off by up to the step to its neighbours.
    steps = np.abs(np.gradient(cells, axis=0)) if len(cells) > 1 else np.zeros_like(cells)
    ratios = _by_region((toned - cells) ** 2) / _by_region(tolerances.static**2 + steps**2)
    worst = np.sqrt(ratios).max(axis=1)
    best = int(worst.argmin())
    differing = np.flatnonzero(np.sqrt(ratios[best]) > tolerances.agrees)
    agreement = Agreement.INCONCLUSIVE if len(differing) > tolerances.undecided_regions else Agreement.IN_PART
    return PictureSignal(
        agreement=agreement if len(differing) else Agreement.AGREES,
        offset_s=float(record.times_s[best]),
        distance=round(float(worst[best]), 3),
    )


def _in_tone(query: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """`query` in the brightness and contrast of `moment`."""
    spread = float(query.std())
    gain = float(np.clip(float(moment.std()) / spread, *_GAINS)) if spread > 0 else 1.0
    toned: np.ndarray = (query - query.mean()) * gain + moment.mean()
    return toned


def _by_region(values: np.ndarray) -> np.ndarray:
    """Means over the 4x4 regions of (T, G, G): (T, 16)."""
    count, grid = values.shape[:2]
    side = grid // REGIONS
    means: np.ndarray = values.reshape(count, REGIONS, side, REGIONS, side).mean(axis=(2, 4)).reshape(count, -1)
    return means
