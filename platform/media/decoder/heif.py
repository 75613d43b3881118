"""HEIC and AVIF stills: the boxes are read here, the pictures in them are decoded by FFmpeg. Only the primary picture counts."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from media.decoder.colours import RANGE_FULL, RANGE_UNSPECIFIED, describe, grade_of, is_full_range, matrix_of
from media.decoder.filters import TABLE_FILTER, TABLE_FORMAT, FilterGraph
from media.decoder.heif_boxes import BRANDS, BROKEN, HeifFile, Item, Reader
from media.decoder.tone import Grade
from media.errors import BadInput

DECODERS = {b"hvc1": ("hevc", b"hvcC"), b"av01": ("libdav1d", b"av1C")}
SEQUENCE_BRANDS = frozenset({b"hevc", b"msf1", b"avis"})
ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
SCALER = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
MIRRORS = (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_LEFT_RIGHT)
TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)  # anticlockwise
EXPORT = "export the image as JPEG or PNG"
TILES_MAX = 1024
GRADED = "graded"  # in the `info` of a picture: what was done to its colours
BLOCK_MAX = 128  # coded pictures are padded to whole blocks
Bytes = NDArray[np.uint8]


def is_heif(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a HEIC or AVIF still. Raises BadInput for a sequence of them."""
    if head[4:8] == b"ftyp" and head[8:12] in SEQUENCE_BRANDS:
        raise BadInput(f"the image holds several pictures; {EXPORT} with one, or upload a video")
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


class HeifStill:
    """An opened file: its size is known before anything is decoded. Raises BadInput when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._file = HeifFile(path.read_bytes())
        self._primary = self._file.item(self._file.primary)
        extent = self._primary.first(b"ispe")
        if extent is None or len(extent) < 12:
            raise BadInput(BROKEN)
        self.width, self.height = struct.unpack_from(">2I", extent, 4)

    def image(self) -> Image.Image:
        """The primary picture upright, RGB or RGBA, its ICC profile in `info`. Raises BadInput when it cannot be decoded."""
        frame = self._decoded(self._primary)
        profile = next((content[4:] for content in self._colours() if content[:4] in (b"prof", b"rICC")), None)
        grade = grade_of(frame)
        if profile and grade is not None and grade.transfer == "sdr":
            grade = None  # its profile says the same of its primaries, and is applied later: not twice
        picture = Image.fromarray(_to_rgb(frame, grade)).crop((0, 0, self.width, self.height))
        alpha = self._alpha(picture.size)
        if alpha is not None:
            picture.putalpha(alpha)
        for kind, content in self._primary.properties:
            picture = _transformed(picture, kind, content)
        if grade is not None:
            picture.info[GRADED] = describe(grade)
        elif profile:
            picture.info["icc_profile"] = profile
        return picture

    def _colours(self) -> list[bytes]:
        return [content for kind, content in self._primary.properties if kind == b"colr"]

    def _alpha(self, size: tuple[int, int]) -> Image.Image | None:
        for item in self._file.items.values():
            kind = (item.first(b"auxC") or b"")[4:].split(b"\0")[0]
            if self._file.primary in item.auxiliary_of and kind in ALPHA:
                grey = self._decoded(item)
                return Image.fromarray(_to_rgb(grey, None)).convert("L").crop((0, 0, *size))
        return None

    def _decoded(self, item: Item) -> VideoFrame:
        """The picture of an item, tagged with the colours that the file says."""
        frame = self._grid(item) if item.kind == b"grid" else self._coded(item)
        for content in (content for kind, content in item.properties if kind == b"colr" and content[:4] == b"nclx"):
            frame.color_primaries, frame.color_trc, frame.colorspace, full = struct.unpack_from(">3HB", content, 4)
            frame.color_range = RANGE_FULL if full & 0x80 else 1
        return frame

    def _coded(self, item: Item) -> VideoFrame:
        if item.kind not in DECODERS:
            raise BadInput(f"the image is coded in a way that cannot be read here; {EXPORT}")
        name, setup = DECODERS[item.kind]
        context = cast(av.VideoCodecContext, av.CodecContext.create(name, "r"))
        context.extradata = item.first(setup)
        context.thread_count = 1
        context.options = {"max_pixels": str((self.width + BLOCK_MAX) * (self.height + BLOCK_MAX))}
        try:
            frames = [*context.decode(av.Packet(self._file.content(item))), *context.decode(None)]
        except av.error.FFmpegError as error:
            raise BadInput(BROKEN) from error
        if not frames:
            raise BadInput(BROKEN)
        return frames[0]

    def _grid(self, item: Item) -> VideoFrame:
        """Tiles of one size, laid out by rows (ISO/IEC 23008-12, 6.6.2.3)."""
        layout = Reader(self._file.content(item), full=False)
        layout.unsigned(2)  # version and flags
        rows, columns = layout.unsigned(1) + 1, layout.unsigned(1) + 1
        size = struct.unpack_from(">2I", item.first(b"ispe") or b"", 4)
        if rows * columns != len(item.tiles) or rows * columns > TILES_MAX or size != (self.width, self.height):
            raise BadInput(BROKEN)
        first = self._coded(self._file.item(item.tiles[0]))
        if rows != -(-self.height // first.height) or columns != -(-self.width // first.width):
            raise BadInput(BROKEN)  # neither too few tiles nor a picture far larger than it says
        tiles = [first, *(self._coded(self._file.item(number)) for number in item.tiles[1:])]
        return _joined(tiles, rows, columns)


def _joined(tiles: list[VideoFrame], rows: int, columns: int) -> VideoFrame:
    first = tiles[0]
    form = (first.width, first.height, first.format.name)
    if any((tile.width, tile.height, tile.format.name) != form for tile in tiles):
        raise BadInput(f"the tiles of the image differ; {EXPORT}")
    whole = VideoFrame(first.width * columns, first.height * rows, first.format.name)
    for number, plane in enumerate(whole.planes):
        lines = [
            np.hstack([_samples(tile, number) for tile in tiles[row * columns : (row + 1) * columns]]) for row in range(rows)
        ]
        stacked = np.vstack(lines)
        padded = np.zeros((stacked.shape[0], plane.line_size), np.uint8)
        padded[:, : stacked.shape[1]] = stacked
        plane.update(padded.tobytes())
    whole.color_primaries, whole.color_trc = first.color_primaries, first.color_trc
    whole.colorspace, whole.color_range = first.colorspace, first.color_range
    return whole


def _samples(frame: VideoFrame, number: int) -> Bytes:
    """The bytes of a plane without padding: uint8 (rows, bytes of a row)."""
    plane = frame.planes[number]
    width = plane.width * (2 if frame.format.components[0].bits > 8 else 1)
    return np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, :width]


def _to_rgb(frame: VideoFrame, grade: Grade | None) -> Bytes:
    """uint8 (H, W, 3): in BT.709 when there is a grade to bring there, else in the file's own primaries."""
    matrix = matrix_of(frame)
    source = f"in_color_matrix={matrix}:in_range={'pc' if is_full_range(frame) else 'tv'}:"
    steps = [f"scale={source}{SCALER}", "format=rgb24"]
    if grade is not None:
        steps = [steps[0], f"format={TABLE_FORMAT}", TABLE_FILTER, "format=rgb24"]
    frame.colorspace = frame.color_primaries = frame.color_trc = 2
    frame.color_range = RANGE_UNSPECIFIED
    return cast(Bytes, FilterGraph(frame, ",".join(steps), grade).filtered(frame).to_ndarray())


def _transformed(picture: Image.Image, kind: bytes, content: bytes) -> Image.Image:
    if kind == b"irot" and (turn := TURNS[content[0] & 3]) is not None:
        return picture.transpose(turn)
    if kind == b"imir":
        return picture.transpose(MIRRORS[content[0] & 1])
    if kind == b"clap":
        return _cropped(picture, content)
    return picture


def _cropped(picture: Image.Image, content: bytes) -> Image.Image:
    """The clean aperture: its size, and how far its centre lies from the picture's (ISO/IEC 14496-12, 12.1.4)."""
    width, height, right, down = (Fraction(*struct.unpack_from(">iI", content, 8 * index)) for index in range(4))
    left = right + Fraction(picture.width - 1, 2) - (width - 1) / 2
    top = down + Fraction(picture.height - 1, 2) - (height - 1) / 2
    x0, y0, x1, y1 = round(left), round(top), round(left + width), round(top + height)
    if not (0 <= x0 < x1 <= picture.width and 0 <= y0 < y1 <= picture.height):
        raise BadInput(BROKEN)
    return picture.crop((x0, y0, x1, y1))
