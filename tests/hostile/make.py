"""Makes the named hostile inputs, and the odd but honest clips, into a folder: `python -m tests.hostile.make DIR`.

Nothing here is stored in the repository: each file is a few lines that say what is wrong with it.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.hostile.clips import BT601 as BT601
from tests.hostile.clips import BT709 as BT709
from tests.hostile.clips import BT2020 as BT2020
from tests.hostile.clips import FULL as FULL
from tests.hostile.clips import HLG as HLG
from tests.hostile.clips import LIMITED as LIMITED
from tests.hostile.clips import P3 as P3
from tests.hostile.clips import PQ as PQ
from tests.hostile.clips import QUIET_X265, UNTAGGED, encode_audio
from tests.hostile.clips import Picture as Picture
from tests.hostile.clips import gradient as gradient
from tests.hostile.clips import tone as tone
from tests.hostile.clips import write_clip as write_clip
from tests.hostile.heic import Colours as Colours
from tests.hostile.heic import broken_heic, cut_heic, hdr_heic_of_rare_colours, heic_sequence, lying_heic, png_in_hdr
from tests.hostile.heic import write_heic as write_heic
from tests.hostile.profiles import display_p3 as display_p3


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def text_named_mp4(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.write_bytes(b"")
    return path


def truncated(folder: Path) -> Path:
    whole = write_clip(folder / "whole.mp4").read_bytes()
    path = folder / "truncated.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def one_pixel(folder: Path) -> Path:
    path = folder / "one_pixel.png"
    Image.new("RGB", (1, 1)).save(path)
    return path


def too_wide_image(folder: Path) -> Path:
    path = folder / "too_wide.png"
    Image.new("L", (30_000, 64)).save(path)
    return path


def image_bomb(folder: Path) -> Path:
    """11,000 x 11,000 black pixels in 16 kB."""
    path = folder / "bomb.png"
    Image.new("1", (11_000, 11_000)).save(path)
    return path


def huge_header_image(folder: Path) -> Path:
    path = folder / "huge_header.png"
    path.write_bytes(png_header(2_000_000_000, 2_000_000_000))
    return path


def broken_image(folder: Path) -> Path:
    path = folder / "broken.png"
    path.write_bytes(png_header(600, 600))
    return path


def animated_webp(folder: Path) -> Path:
    path = folder / "animated.webp"
    frames = [Image.new("RGB", (96, 96), (shade, 0, 0)) for shade in (0, 90, 180)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def no_frames(folder: Path) -> Path:
    """A sound MP4 whose one video track has no sample left: its sample tables are emptied by hand."""
    path = folder / "no_frames.mp4"
    data = bytearray(write_clip(folder / "some_frames.mp4").read_bytes())
    for table, at in ((b"stts", 8), (b"stsz", 12), (b"stsc", 8), (b"stco", 8)):
        place = data.index(table)
        data[place + at : place + at + 4] = bytes(4)
    path.write_bytes(data)
    return path


def audio_only(folder: Path) -> Path:
    path = folder / "audio_only.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=48_000, layout="mono")
        encode_audio(file, stream, tone(1.0, 48_000, 1), 48_000, Fraction(0))
    return path


def video_bomb(folder: Path) -> Path:
    """5,008 x 5,008 pixels of grey."""
    path = folder / "bomb.mkv"

    def grey(width: int, height: int, index: int) -> np.ndarray:
        return np.full((height * 3 // 2, width), 128, np.uint8)

    return write_clip(
        path, size=(5008, 5008), frames=1, picture=grey, codec="mjpeg", pixel_format="yuvj420p", options={}, colour_range=FULL
    )


def long_bomb(folder: Path) -> Path:
    """Two frames, the second shown four hours later."""
    return write_clip(folder / "long.mp4", ticks=[0, 4 * 3600], tick_s=Fraction(1))


def many_frames(folder: Path) -> Path:
    """Thousands of tiny frames with a microsecond between them."""
    return write_clip(folder / "rush.mkv", size=(32, 32), ticks=list(range(0, 4000, 2)), tick_s=Fraction(1, 1000))


def huge_dimensions(folder: Path) -> Path:
    """An MP4 whose sample entry claims 65,500 pixels a side; its pictures are 128 x 96."""
    path = folder / "huge_dimensions.mp4"
    data = bytearray(
        write_clip(folder / "small.mp4", codec="mjpeg", pixel_format="yuvj420p", options={}, colour_range=FULL).read_bytes()
    )
    entry = data.index(b"mp4v")
    data[entry + 28 : entry + 32] = struct.pack(">HH", 65_500, 65_500)
    path.write_bytes(data)
    return path


def dolby_vision_only(folder: Path) -> Path:
    """HEVC in the sample entry of Dolby Vision that says no transfer: profile 5, green and purple in any other player."""
    path = write_clip(
        folder / "dolby_vision.mp4",
        codec="libx265",
        matrix=UNTAGGED,
        transfer=UNTAGGED,
        primaries=UNTAGGED,
        options=QUIET_X265,
        frames=5,
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(b"hev1", b"dvhe").replace(b"hvc1", b"dvh1"))
    return path


def playlist_in_matroska_clothes(folder: Path) -> Path:
    path = folder / "noise.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + np.random.default_rng(1).integers(0, 256, 50_000, dtype=np.uint8).tobytes())
    return path


def hidden_under_alpha(folder: Path) -> Path:
    """A PNG that shows flat green while the colours under its transparent half are a red square."""
    pixels = np.zeros((96, 128, 4), np.uint8)
    pixels[...] = (0, 160, 0, 255)
    pixels[:, 64:] = (250, 20, 20, 0)
    path = folder / "hidden.png"
    Image.fromarray(pixels).save(path)
    return path


def wrong_extension(folder: Path) -> Path:
    """A JPEG named .png: honest enough to be read."""
    buffer = io.BytesIO()
    Image.new("RGB", (96, 80), (10, 120, 200)).save(buffer, "JPEG")
    path = folder / "photo.png"
    path.write_bytes(buffer.getvalue())
    return path


HOSTILE_VIDEOS = (
    text_named_mp4,
    empty,
    truncated,
    no_frames,
    audio_only,
    video_bomb,
    long_bomb,
    many_frames,
    dolby_vision_only,
    playlist_in_matroska_clothes,
    one_pixel,
    animated_webp,
)
HOSTILE_STILLS = (
    one_pixel,
    too_wide_image,
    image_bomb,
    huge_header_image,
    broken_image,
    animated_webp,
    broken_heic,
    cut_heic,
    lying_heic,
    heic_sequence,
    hdr_heic_of_rare_colours,
    png_in_hdr,
    text_named_mp4,
    empty,
    audio_only,
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for maker in dict.fromkeys((*HOSTILE_VIDEOS, *HOSTILE_STILLS, huge_dimensions, hidden_under_alpha, wrong_extension)):
        print(maker(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
