"""Makes the named hostile inputs, and the odd but honest clips, into a folder: `python -m tests.hostile.make DIR`.

Nothing here is stored in the repository: each file is a few lines that say what is wrong with it.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

# H.273 codes
BT709, UNTAGGED, BT601, PQ = 1, 2, 6, 16
LIMITED, FULL = 1, 2


def gradient(width: int, height: int, index: int) -> np.ndarray:
    """A smooth moving picture, uint8 (3H/2, W) as yuv420p: no two frames are equal."""
    rows, columns = np.mgrid[0:height, 0:width]
    luma = 40 + (rows * 80 // height) + (columns * 80 // width) + 8 * (index % 10)
    stack = np.full((height * 3 // 2, width), 128, np.uint8)
    stack[:height] = luma
    chroma = stack[height:].reshape(2, height // 2, width // 2)
    chroma[0] = 100 + np.arange(width // 2) * 40 // width + index % 10
    chroma[1] = 150 - np.arange(height // 2)[:, None] * 40 // height
    return stack


def tone(seconds: float, rate: int, channels: int, *, click_s: float | None = None) -> np.ndarray:
    """float32 (channels, samples): a 440 Hz tone, or silence with one short click."""
    time_s = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    if click_s is not None:
        wave = np.where((time_s >= click_s) & (time_s < click_s + 0.01), np.sin(2 * np.pi * 2000 * time_s), 0.0)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write_clip(
    path: Path,
    *,
    size: tuple[int, int] = (128, 96),
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    tick_s: Fraction | None = None,
    frames: int = 25,
    picture: Callable[[int, int, int], np.ndarray] = gradient,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    matrix: int = BT709,
    transfer: int = BT709,
    colour_range: int = LIMITED,
    sample_aspect: Fraction | None = None,
    rotation: int = 0,
    streams: int = 1,
    audio: tuple[str, np.ndarray, int] | None = None,
    audio_start: Fraction = Fraction(0),
    container: str | None = None,
) -> Path:
    """Encode a clip, lossless with x264. `ticks`: presentation times in units of `tick_s`, else one frame each 1 / rate.

    audio: codec, float32 samples (channels, n), sample rate.
    """
    lossless = {"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
    base = tick_s or 1 / rate
    times = list(ticks) if ticks is not None else list(range(frames))
    with av.open(str(path), "w", format=container) as file:
        video = []
        for _ in range(streams):
            stream = file.add_stream(codec, rate=rate, options=options if options is not None else lossless)
            stream.width, stream.height, stream.pix_fmt = *size, pixel_format
            stream.codec_context.time_base = base
            stream.time_base = base
            stream.codec_context.colorspace, stream.codec_context.color_trc = matrix, transfer
            stream.codec_context.color_primaries, stream.codec_context.color_range = BT709, colour_range
            if sample_aspect is not None:
                stream.codec_context.sample_aspect_ratio = sample_aspect
            if rotation:
                stream.set_display_rotation(-rotation)
            video.append(stream)
        sound = None
        if audio is not None:
            sound = file.add_stream(audio[0], rate=audio[2], layout={1: "mono", 2: "stereo", 6: "5.1"}[audio[1].shape[0]])
            sound.codec_context.format = "s16" if audio[0].startswith("pcm") else "fltp"
        for index, tick in enumerate(times):
            for number, stream in enumerate(video):
                frame = av.VideoFrame.from_ndarray(picture(*size, index + 5 * number), format=pixel_format)
                frame.pts, frame.time_base = tick, base
                frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = (
                    matrix,
                    colour_range,
                    transfer,
                    BT709,
                )
                file.mux(stream.encode(frame))
        for stream in video:
            file.mux(stream.encode(None))
        if audio is not None and sound is not None:
            _encode_audio(file, sound, audio[1], audio[2], audio_start)
    return path


def _encode_audio(
    file: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray, rate: int, start: Fraction
) -> None:
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    block = stream.codec_context.frame_size or 1024
    kind = stream.codec_context.format.name
    for offset in range(0, samples.shape[1], block):
        part = np.ascontiguousarray(samples[:, offset : offset + block])
        if kind == "s16":
            part = (part * 32767).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=kind, layout=stream.codec_context.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, offset + round(start * rate), Fraction(1, rate)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


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


def heic(folder: Path) -> Path:
    path = folder / "phone.heic"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200))
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
        _encode_audio(file, stream, tone(1.0, 48_000, 1), 48_000, Fraction(0))
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


def hdr(folder: Path) -> Path:
    return write_clip(folder / "hdr.mp4", transfer=PQ)


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
    hdr,
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
    heic,
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
