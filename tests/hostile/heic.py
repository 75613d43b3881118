"""Writes HEIC stills box by box, and breaks some of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.hostile.clips import BT709, BT2020, PQ, QUIET_X265, write_clip


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of ISO/IEC 14496-12."""
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


@dataclass(frozen=True)
class Colours:
    """How the codes of a HEIC are to be read (H.273), in 8 bits or 10. boxed: said in its boxes, not in the picture alone."""

    primaries: int = BT709
    transfer: int = BT709
    matrix: int = BT709
    deep: bool = False
    boxed: bool = True
    chroma: tuple[int, int] = (128, 128)

    def tile(self, width: int, height: int, grey: int) -> np.ndarray:
        """Planes of one colour, 4:2:0 stacked."""
        stack = np.full((height * 3 // 2, width), grey, np.uint16 if self.deep else np.uint8)
        stack[height:].reshape(2, -1)[:] = np.array(self.chroma)[:, None]
        return stack


PLAIN = Colours()


def write_heic(
    path: Path,
    greys: Sequence[Sequence[int]],
    *,
    side: int = 64,
    turn: int = 0,
    mirror: int | None = None,
    profile: bytes = b"",
    colours: Colours = PLAIN,
) -> Path:
    """A HEIC laid out as phones do: a grid of square tiles, each of one luma code, limited range; then turned and mirrored.

    turn: quarter turns anticlockwise. mirror: 0 swaps top and bottom, 1 left and right.
    """
    rows, columns = len(greys), len(greys[0])
    tiles = []
    setup = b""
    for number, grey in enumerate(grey for row in greys for grey in row):
        clip = write_clip(
            path.with_name(f"tile{number}.mp4"),
            size=(side, side),
            frames=1,
            codec="libx265",
            options=QUIET_X265,
            pixel_format="yuv420p10le" if colours.deep else "yuv420p",
            primaries=colours.primaries,
            transfer=colours.transfer,
            matrix=colours.matrix,
            picture=lambda width, height, index, grey=grey: colours.tile(width, height, grey),
        )
        with av.open(str(clip)) as file:
            setup = file.streams.video[0].codec_context.extradata or b""
            tiles.append(next(bytes(packet) for packet in file.demux(video=0) if packet.size))
        clip.unlink()
    count = rows * columns
    size = struct.pack(">2I", columns * side, rows * side)
    properties = [
        box(b"hvcC", setup),
        box(b"ispe", bytes(4), struct.pack(">2I", side, side)),
        box(b"ispe", bytes(4), size),
    ]
    if profile:
        properties.append(box(b"colr", b"prof", profile))
    elif colours.boxed:
        said = struct.pack(">3HB", colours.primaries, colours.transfer, colours.matrix, 0)
        properties.append(box(b"colr", b"nclx", said))
    if turn:
        properties.append(box(b"irot", bytes([turn])))
    if mirror is not None:
        properties.append(box(b"imir", bytes([mirror])))
    applied = {1: [2 + 1, *range(4, len(properties) + 1)]} | {number + 2: [1, 2] for number in range(count)}
    ipma = struct.pack(">II", 0, len(applied)) + b"".join(
        struct.pack(">HB", item, len(which)) + bytes(which) for item, which in applied.items()
    )
    kinds = [b"grid"] + [b"hvc1"] * count
    infe = [box(b"infe", b"\2\0\0\0", struct.pack(">HH", item + 1, 0), kind, b"\0") for item, kind in enumerate(kinds)]
    grid = struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, columns * side, rows * side)

    def meta(start: int) -> bytes:
        places, at = [], start
        for item, data in enumerate([grid, *tiles]):
            places.append(struct.pack(">HHHII", item + 1, 0, 1, at, len(data)))
            at += len(data)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", 1)),
            box(b"iloc", bytes(4), struct.pack(">HH", 0x4400, count + 1), *places),
            box(b"iinf", bytes(4), struct.pack(">H", count + 1), *infe),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(f">HH{count}H", 1, count, *range(2, count + 2)))),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", ipma)),
        )

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + box(b"mdat", grid, *tiles))
    return path


def broken_heic(folder: Path) -> Path:
    """The beginning of a phone's photo and nothing behind it."""
    path = folder / "phone.heic"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200))
    return path


def cut_heic(folder: Path) -> Path:
    """A HEIC whose last tile is missing."""
    path = write_heic(folder / "cut.heic", [[60, 120], [180, 220]])
    path.write_bytes(path.read_bytes()[:-20])
    return path


def lying_heic(folder: Path) -> Path:
    """A HEIC that says it is 60,000 pixels wide."""
    path = write_heic(folder / "lying.heic", [[60, 120], [180, 220]])
    path.write_bytes(path.read_bytes().replace(struct.pack(">2I", 128, 128), struct.pack(">2I", 60_000, 128)))
    return path


def hdr_heic_of_rare_colours(folder: Path) -> Path:
    """A HEIC in PQ whose planes are ICtCp, which is read nowhere."""
    return write_heic(folder / "ictcp.heic", [[500]], colours=Colours(BT2020, PQ, 14, deep=True, chroma=(512, 512)))


def png_in_hdr(folder: Path) -> Path:
    """A PNG that says its codes are PQ (its cICP chunk): shown as if they were not, it would be grey and dull."""
    path = folder / "hdr.png"
    buffer = io.BytesIO()
    Image.new("RGB", (96, 96), (120, 130, 140)).save(buffer, "PNG")
    chunk = b"cICP" + bytes([9, 16, 0, 1])
    data, header_end = buffer.getvalue(), 33
    said = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:header_end] + said + data[header_end:])
    return path


def heic_sequence(folder: Path) -> Path:
    path = folder / "burst.heic"
    path.write_bytes(b"\x00\x00\x00\x18ftyphevc\x00\x00\x00\x00msf1hevc" + bytes(200))
    return path
