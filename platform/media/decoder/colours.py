"""What the tags of a decoded frame say about its colours (ITU-T H.273, tables 2 to 4), and what is assumed without them."""

from __future__ import annotations

import struct
from typing import cast

from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame

from media.decoder.tone import DEFAULT_PEAK, PQ_PEAK, REFERENCE_WHITE, Grade, Primaries, Transfer
from media.errors import BadInput

MATRIX_UNSPECIFIED = 2
RANGE_UNSPECIFIED, RANGE_FULL = 0, 2
MATRICES = {4: "bt601", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
UNREADABLE_MATRICES = frozenset({8, 10, 11, 12, 13, 14, 15, 16, 17})  # constant luminance, ICtCp and other rare ones
HDR_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
WIDE_PRIMARIES: dict[int, Primaries] = {9: "bt2020", 12: "p3"}
UNSPECIFIED = frozenset({0, 2})
SD_ROWS_MAX = 576
DOLBY_VISION = "the video is Dolby Vision that only its own players can show; export it as SDR (Rec. 709) or HLG"
NAMES = {"pq": "HDR (PQ)", "hlg": "HDR (HLG)", "sdr": "wide gamut"}


def matrix_of(frame: VideoFrame) -> str:
    """The matrix between R'G'B' and the planes. Raises BadInput for one that cannot be read."""
    if frame.format.is_rgb:
        return "rgb"
    if frame.colorspace in UNREADABLE_MATRICES:
        raise BadInput("the colours of the video are coded in a rare way that cannot be read; export it as SDR (Rec. 709)")
    if frame.colorspace == MATRIX_UNSPECIFIED:
        return _assumed_matrix(frame)
    return MATRICES.get(frame.colorspace, "bt709")


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black and white are 0 and 255 rather than 16 and 235."""
    return frame.color_range == RANGE_FULL or frame.format.name.startswith("yuvj")


def grade_of(frame: VideoFrame) -> Grade | None:
    """How wide gamut or HDR is to be read; None for plain BT.709. Raises BadInput for Dolby Vision without a plain layer."""
    transfer = HDR_TRANSFERS.get(frame.color_trc)
    if transfer is None and _is_dolby_vision(frame):
        raise BadInput(DOLBY_VISION)
    primaries = _primaries(frame)
    if transfer is None and primaries == "bt709":
        return None
    return Grade(transfer or "sdr", primaries, _peak(frame) if transfer == "pq" else DEFAULT_PEAK)


def describe(grade: Grade) -> str:
    """The note a user reads."""
    return f"{NAMES[grade.transfer]} colours brought to SDR (Rec. 709); for full control over the look, grade it yourself"


def _primaries(frame: VideoFrame) -> Primaries:
    if frame.color_primaries in UNSPECIFIED:
        wide = frame.color_trc in HDR_TRANSFERS or matrix_of(frame) == "bt2020"
        return "bt2020" if wide else "bt709"
    return WIDE_PRIMARIES.get(frame.color_primaries, "bt709")


def _assumed_matrix(frame: VideoFrame) -> str:
    if frame.color_trc in HDR_TRANSFERS:
        return "bt2020"
    return "bt601" if frame.height <= SD_ROWS_MAX else "bt709"


def side_data(frame: VideoFrame, kind: SideData) -> bytes:
    """What a frame carries beside its pixels; empty without it."""
    try:
        return bytes(cast(SideDataContainer, frame.side_data)[kind])
    except KeyError:
        return b""


def _is_dolby_vision(frame: VideoFrame) -> bool:
    """Its profile 5: a picture in IPT without a fallback, tagged with no transfer. Other profiles carry one and pass."""
    return frame.color_trc in UNSPECIFIED and bool(
        side_data(frame, SideData.DOVI_METADATA) or side_data(frame, SideData.DOVI_RPU_BUFFER)
    )


def _peak(frame: VideoFrame) -> float:
    """Brightest content in cd/m2: MaxCLL (CTA-861.3), else the mastering display's maximum (SMPTE ST 2086), else 1000."""
    light = side_data(frame, SideData.CONTENT_LIGHT_LEVEL)
    display = side_data(frame, SideData.MASTERING_DISPLAY_METADATA)
    found = float(struct.unpack_from("=I", light)[0]) if len(light) >= 4 else 0.0
    if not found and len(display) >= 80:
        numerator, denominator = struct.unpack_from("=2i", display, 72)  # after six primaries, white and minimum as fractions
        found = numerator / denominator if denominator > 0 else 0.0
    return min(max(found, REFERENCE_WHITE), PQ_PEAK) if found > 0 else DEFAULT_PEAK
