"""From a decoded frame to the one form of pixels used inside: upright, square pixels, BT.709 limited 4:2:0, 8 bit, even size.

Untagged video is taken as BT.601 up to 576 rows and BT.709 above, as broadcast practice and most players do. Wide gamut and HDR
are refused: mapping them to BT.709 is a grading decision.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame

from media.errors import BadInput

# ITU-T H.273, tables 2 to 4
MATRIX_RGB, MATRIX_BT709, MATRIX_UNSPECIFIED, MATRIX_SMPTE240M = 0, 1, 2, 7
MATRICES_BT601 = frozenset({4, 5, 6})
MATRICES_BT2020 = frozenset({9, 10})
TRANSFERS_HDR = frozenset({16, 18})  # PQ and HLG
PRIMARIES_BT2020 = 9
RANGE_UNSPECIFIED, RANGE_FULL = 0, 2
SD_ROWS_MAX = 576
TURNS = {  # (a, b, c, d) of the display matrix -> filters that bring the picture upright, degrees clockwise, mirrored
    (1, 0, 0, 1): ("", 0, False),
    (0, 1, -1, 0): ("transpose=clock", 90, False),
    (-1, 0, 0, -1): ("hflip,vflip", 180, False),
    (0, -1, 1, 0): ("transpose=cclock", 270, False),
    (-1, 0, 0, 1): ("hflip", 0, True),
    (1, 0, 0, -1): ("vflip", 180, True),
    (0, 1, 1, 0): ("transpose=cclock_flip", 90, True),
    (0, -1, -1, 0): ("transpose=clock_flip", 270, True),
}
SAME_MATRIX = "in_color_matrix=bt709:out_color_matrix=bt709:in_range=tv:out_range=tv"
SCALER = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
PlaneStack = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Picture:
    """How the frames of one clip become the form used inside. Sizes in pixels; width and height are those that come out."""

    width: int
    height: int
    coded_width: int
    coded_height: int
    pixel_format: str
    rotation: int
    mirrored: bool
    sample_aspect: Fraction
    matrix: str
    full_range: bool
    filters: str  # empty when the planes pass through untouched
    notes: tuple[str, ...]


def picture_of(frame: VideoFrame, sample_aspect: Fraction, *, long_side_px: int) -> Picture:
    """Read the first frame of a clip. Raises BadInput for HDR, wide gamut and transforms that are not quarter turns."""
    _refuse_wide_gamut(frame)
    if not Fraction(1, 4) <= sample_aspect <= 4:
        raise BadInput("the pixels of the video have an absurd aspect ratio; export it with square pixels")
    turn, rotation, mirrored = _turn(frame)
    width, height, notes = _target(frame, sample_aspect, rotation in (90, 270), long_side_px)
    matrix = _matrix(frame)
    full = frame.color_range == RANGE_FULL or frame.format.name.startswith("yuvj")
    filters = [] if not turn else [turn]
    filters += _geometry(frame, rotation in (90, 270), width, height)
    filters += _colour(frame, matrix, full)
    return Picture(
        width=width,
        height=height,
        coded_width=frame.width,
        coded_height=frame.height,
        pixel_format=frame.format.name,
        rotation=rotation,
        mirrored=mirrored,
        sample_aspect=sample_aspect,
        matrix=matrix,
        full_range=full,
        filters=",".join(filters),
        notes=tuple(notes),
    )


class Converter:
    """Applies a `Picture` to the frames of its clip, one in, one out."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._graph: av.filter.Graph | None = None

    def planes(self, frame: VideoFrame) -> PlaneStack:
        """uint8 (3H/2, W): the Y, U and V planes one after the other. Raises BadInput when the frame differs from the first."""
        picture = self._picture
        if (frame.width, frame.height, frame.format.name) != (picture.coded_width, picture.coded_height, picture.pixel_format):
            raise BadInput("the video changes its picture size or format on the way; export it again in one size")
        if not picture.filters:
            return stack_of(frame)
        if self._graph is None:
            self._graph = _graph(frame, picture.filters)
        _untag(frame)
        self._graph.push(frame)
        converted = self._graph.pull()
        if not isinstance(converted, VideoFrame):
            raise BadInput("the video cannot be converted; export it again as H.264 in MP4")
        return stack_of(converted)


def stack_of(frame: VideoFrame) -> PlaneStack:
    """The planes of an 8-bit 4:2:0 frame without row padding: uint8 (3H/2, W), Y, then U, then V."""
    return cast(PlaneStack, frame.to_ndarray())


def _refuse_wide_gamut(frame: VideoFrame) -> None:
    if frame.color_trc in TRANSFERS_HDR:
        raise BadInput("the video is HDR (PQ or HLG), which is not accepted; export it as SDR (Rec. 709)")
    if frame.color_primaries == PRIMARIES_BT2020 or frame.colorspace in MATRICES_BT2020:
        raise BadInput("the video uses the wide BT.2020 gamut, which is not accepted; export it as SDR (Rec. 709)")


def _display_matrix(frame: VideoFrame) -> bytes | None:
    """The 3x3 matrix of the container in 16.16 fixed point, 36 bytes in native order."""
    try:
        return bytes(cast(SideDataContainer, frame.side_data)[SideData.DISPLAYMATRIX])
    except KeyError:
        return None


def _turn(frame: VideoFrame) -> tuple[str, int, bool]:
    data = _display_matrix(frame)
    if data is None:
        return TURNS[1, 0, 0, 1]
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    try:
        return TURNS[round(a / 65536), round(b / 65536), round(c / 65536), round(d / 65536)]
    except KeyError as error:
        raise BadInput("the video is turned by an angle that is not a quarter turn; export it upright") from error


def _target(frame: VideoFrame, aspect: Fraction, sideways: bool, long_side_px: int) -> tuple[int, int, list[str]]:
    """Displayed size, even; non-square pixels are stretched along one side, never squeezed."""
    width, height = frame.width * max(aspect, Fraction(1)), frame.height * max(1 / aspect, Fraction(1))
    if sideways:
        width, height = height, width
    notes = []
    scale = min(Fraction(1), Fraction(long_side_px) / max(width, height))
    if scale < 1:
        notes.append(f"scaled down from {round(width)}x{round(height)}: the long side is limited to {long_side_px} pixels")
    if aspect != 1:
        notes.append(f"pixels of aspect {aspect.numerator}:{aspect.denominator} made square")
    if frame.interlaced_frame:
        notes.append("interlaced: the two fields of a frame stay woven")
    return int(width * scale) // 2 * 2, int(height * scale) // 2 * 2, notes


def _geometry(frame: VideoFrame, sideways: bool, width: int, height: int) -> list[str]:
    size = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    if size == (width, height):
        return []
    if (size[0] - width, size[1] - height) in ((0, 1), (1, 0), (1, 1)):
        return [f"crop={width}:{height}:0:0"]  # one odd row or column is cut rather than every row resampled
    return [f"scale={width}:{height}:{SCALER}"]


def _matrix(frame: VideoFrame) -> str:
    if frame.format.is_rgb:
        return "rgb"
    if frame.colorspace in MATRICES_BT601:
        return "bt601"
    if frame.colorspace == MATRIX_SMPTE240M:
        return "smpte240m"
    if frame.colorspace == MATRIX_UNSPECIFIED and frame.height <= SD_ROWS_MAX:
        return "bt601"
    return "bt709"


def _colour(frame: VideoFrame, matrix: str, full: bool) -> list[str]:
    if matrix == "rgb":
        return [f"scale=out_color_matrix=bt709:out_range=tv:{SCALER}", "format=yuv420p"]
    if matrix == "bt709" and not full:
        return [] if frame.format.name == "yuv420p" else [f"scale={SAME_MATRIX}:{SCALER}", "format=yuv420p"]
    space = "bt470bg" if matrix == "bt601" else matrix
    source = f"ispace={space}:irange={'pc' if full else 'tv'}:iprimaries=bt709:itrc=bt709"
    exact = f"colorspace={source}:space=bt709:range=tv:primaries=bt709:trc=bt709:format=yuv420p"
    return ["format=yuv420p|yuv422p|yuv444p|yuv420p10|yuv422p10|yuv444p10|yuv420p12|yuv422p12|yuv444p12", exact]


def _untag(frame: VideoFrame) -> None:
    """Take the colour tags off: the filters are told everything by name and must not convert by themselves on the way."""
    frame.colorspace = frame.color_primaries = frame.color_trc = MATRIX_UNSPECIFIED
    frame.color_range = RANGE_UNSPECIFIED


def _graph(frame: VideoFrame, filters: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    previous = graph.add_buffer(
        template=None, width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    for step in filters.split(","):
        name, _, arguments = step.partition("=")
        node = graph.add(name, arguments) if arguments else graph.add(name)
        previous.link_to(node)
        previous = node
    sink = graph.add("buffersink")
    previous.link_to(sink)
    graph.configure()
    return graph
