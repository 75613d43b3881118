"""From a decoded frame to the one form of pixels used inside: upright, square pixels, BT.709 limited 4:2:0, 8 bit, even size.

Untagged video is taken as BT.601 up to 576 rows and BT.709 above, as broadcast practice and most players do. Wide gamut and HDR
go through `tone`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame

from media.decoder.colours import MATRIX_UNSPECIFIED, RANGE_UNSPECIFIED, describe, grade_of, is_full_range, matrix_of, side_data
from media.decoder.filters import TABLE_FILTER, TABLE_FORMAT, FilterGraph
from media.decoder.tone import Grade
from media.errors import BadInput

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
    grade: Grade | None  # of wide gamut and HDR
    filters: str  # empty when the planes pass through untouched
    notes: tuple[str, ...]


def picture_of(frame: VideoFrame, sample_aspect: Fraction, *, long_side_px: int) -> Picture:
    """Read the first frame of a clip. Raises BadInput for colours that cannot be read and transforms but quarter turns."""
    if not Fraction(1, 4) <= sample_aspect <= 4:
        raise BadInput("the pixels of the video have an absurd aspect ratio; export it with square pixels")
    turn, rotation, mirrored = _turn(frame)
    width, height, notes = _target(frame, sample_aspect, rotation in (90, 270), long_side_px)
    matrix, full, grade = matrix_of(frame), is_full_range(frame), grade_of(frame)
    filters = [] if not turn else [turn]
    filters += _geometry(frame, rotation in (90, 270), width, height)
    if grade is None:
        filters += _colour(frame, matrix, full)
    else:
        filters += _graded(matrix, full)
        notes.append(describe(grade))
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
        grade=grade,
        filters=",".join(filters),
        notes=tuple(notes),
    )


class Converter:
    """Applies a `Picture` to the frames of its clip, one in, one out."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._graph: FilterGraph | None = None

    def planes(self, frame: VideoFrame) -> PlaneStack:
        """uint8 (3H/2, W): the Y, U and V planes one after the other. Raises BadInput when the frame differs from the first."""
        picture = self._picture
        if (frame.width, frame.height, frame.format.name) != (picture.coded_width, picture.coded_height, picture.pixel_format):
            raise BadInput("the video changes its picture size or format on the way; export it again in one size")
        if not picture.filters:
            return stack_of(frame)
        if self._graph is None:
            self._graph = FilterGraph(frame, picture.filters, picture.grade)
        _untag(frame)
        converted = self._graph.filtered(frame)
        if not isinstance(converted, VideoFrame):
            raise BadInput("the video cannot be converted; export it again as H.264 in MP4")
        return stack_of(converted)


def stack_of(frame: VideoFrame) -> PlaneStack:
    """The planes of an 8-bit 4:2:0 frame without row padding: uint8 (3H/2, W), Y, then U, then V."""
    return cast(PlaneStack, frame.to_ndarray())


def _turn(frame: VideoFrame) -> tuple[str, int, bool]:
    data = side_data(frame, SideData.DISPLAYMATRIX)  # 3 x 3 in 16.16 fixed point, 36 bytes in native order
    if not data:
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


def _colour(frame: VideoFrame, matrix: str, full: bool) -> list[str]:
    if matrix == "rgb":
        return [f"scale=out_color_matrix=bt709:out_range=tv:{SCALER}", "format=yuv420p"]
    if matrix == "bt709" and not full:
        return [] if frame.format.name == "yuv420p" else [f"scale={SAME_MATRIX}:{SCALER}", "format=yuv420p"]
    space = "bt470bg" if matrix == "bt601" else matrix
    source = f"ispace={space}:irange={'pc' if full else 'tv'}:iprimaries=bt709:itrc=bt709"
    exact = f"colorspace={source}:space=bt709:range=tv:primaries=bt709:trc=bt709:format=yuv420p"
    return ["format=yuv420p|yuv422p|yuv444p|yuv420p10|yuv422p10|yuv444p10|yuv420p12|yuv422p12|yuv444p12", exact]


def _graded(matrix: str, full: bool) -> list[str]:
    """Through R'G'B', where the table of the grade applies."""
    source = "" if matrix == "rgb" else f"in_color_matrix={matrix}:in_range={'pc' if full else 'tv'}:"
    to_rgb = f"scale={source}{SCALER}"
    return [
        to_rgb,
        f"format={TABLE_FORMAT}",
        TABLE_FILTER,
        f"scale=out_color_matrix=bt709:out_range=tv:{SCALER}",
        "format=yuv420p",
    ]


def _untag(frame: VideoFrame) -> None:
    """Take the colour tags off: the filters are told everything by name and must not convert by themselves on the way."""
    frame.colorspace = frame.color_primaries = frame.color_trc = MATRIX_UNSPECIFIED
    frame.color_range = RANGE_UNSPECIFIED
