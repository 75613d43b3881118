"""Copies of a released file as they turn up in the world: stripped, shrunk, tampered with."""

from __future__ import annotations

import shutil
from pathlib import Path

import av

from media.limits import MediaLimits
from media.video import VideoWriter, probe, read_planes
from media.video.recompress import half_size


def without_metadata(source: Path, destination: Path) -> Path:
    """Copy the streams into a new container, as most uploads do: the manifest is gone, the pixels are the same."""
    with av.open(str(source)) as original, av.open(str(destination), "w", format="mp4") as copy:
        kept = [stream for stream in original.streams if stream.type in ("video", "audio")]
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in kept}
        for packet in original.demux():
            if packet.dts is not None and packet.stream_index in streams:
                packet.stream = streams[packet.stream_index]
                copy.mux(packet)
    return destination


def half_size_at_crf_28(source: Path, destination: Path) -> Path:
    """Scale to half the width and height and compress again at CRF 28."""
    info = probe(source, limits=MediaLimits())
    batches = (batch.with_pixels(half_size(batch.yuv)) for batch in read_planes(source))
    width, height = info.width // 4 * 2, info.height // 4 * 2
    with VideoWriter(destination, width=width, height=height, frame_rate=info.frame_rate, crf=28, audio_from=source) as writer:
        for batch in batches:
            writer.write(batch)
    return destination


def with_a_flipped_byte(source: Path, destination: Path) -> Path:
    """Copy the file and flip one bit in the middle of its picture data (the `mdat` box)."""
    shutil.copyfile(source, destination)
    start, end = find_box(destination, b"mdat")
    with destination.open("r+b") as file:
        file.seek((start + end) // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x01]))
    return destination


def find_box(path: Path, kind: bytes) -> tuple[int, int]:
    """First and last byte offset of the content of a top-level box (ISO/IEC 14496-12, 4.2). Raises ValueError."""
    size_of_file = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size_of_file:
            file.seek(at)
            size, name = int.from_bytes(file.read(4), "big"), file.read(4)
            header = 8
            if size == 1:
                size, header = int.from_bytes(file.read(8), "big"), 16
            size = size or size_of_file - at
            if name == kind:
                return at + header, at + size
            at += size
    raise ValueError(f"{path.name} has no {kind.decode()} box; give an MP4 file.")
