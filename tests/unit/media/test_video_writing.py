"""Written video has the exact frame rate, the right tags and the sound in its place, or does not exist at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from media.errors import BadInput
from media.frames import FrameBatch
from media.limits import MediaLimits
from media.video import VideoWriter, WriteError, normalise_video, read_frames, read_planes, read_still
from media.video.colour import to_rgb
from tests.hostile import make

NTSC = Fraction(30000, 1001)


def grey(frames: int, *, width: int = 64, height: int = 48, value: int = 90) -> FrameBatch:
    return FrameBatch(torch.full((frames, height, width, 3), value, dtype=torch.uint8), torch.zeros(frames, dtype=torch.float64))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "25", "15", "50"])
def test_frames_show_at_exact_multiples_of_the_frame_duration(codec: str, rate: str, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, width=64, height=48, frame_rate=Fraction(rate), codec=codec, preset="ultrafast") as writer:
        for _ in range(6):
            writer.write(grey(5))
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.average_rate == Fraction(rate)
        assert [frame.pts * frame.time_base for frame in file.decode(stream)] == [index / Fraction(rate) for index in range(30)]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_colour_tags_say_bt709_limited(codec: str, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC, codec=codec) as writer:
        writer.write(grey(3))
    data = (tmp_path / "out.mp4").read_bytes()
    place = data.index(b"colrnclx")
    assert data[place + 8 : place + 15] == bytes((0, 1, 0, 1, 0, 1, 0))  # primaries, transfer, matrix, limited range
    with av.open(str(tmp_path / "out.mp4")) as file:
        frame = next(file.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)


def test_the_index_is_at_the_front(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC) as writer:
        writer.write(grey(3))
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_hevc_has_the_sample_entry_that_apple_players_ask_for(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC, codec="hevc") as writer:
        writer.write(grey(3))
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.codec_tag, context.pix_fmt) == ("hevc", "hvc1", "yuv420p")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(("width", "height"), [(3840, 2160), (2160, 3840)])
def test_four_k_is_written_either_way_up(codec: str, width: int, height: int, tmp_path: Path) -> None:
    frames = grey(2, width=width, height=height)
    frames.rgb[:, : height // 2] = 180
    path = tmp_path / "out.mp4"
    with VideoWriter(path, width=width, height=height, frame_rate=NTSC, codec=codec, preset="ultrafast") as writer:
        writer.write(frames)
    back = next(read_planes(path)).yuv.y
    assert back.shape == (2, height, width)
    assert int(back[0, 10, 10]) > int(back[0, -10, -10]) + 50


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_clip_of_a_few_frames_is_written_like_any_other(count: int, codec: str, tmp_path: Path) -> None:
    for _ in range(4):
        with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC, codec=codec) as writer:
            writer.write(grey(count))
        with av.open(str(tmp_path / "out.mp4")) as file:
            shown = [frame.pts * frame.time_base for frame in file.decode(video=0)]
        assert shown == [index / NTSC for index in range(count)]


def test_planar_and_rgb_frames_come_back_as_they_went_in(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=6)
    planar = next(read_planes(clip))
    with VideoWriter(tmp_path / "out.mp4", width=128, height=96, frame_rate=Fraction(25), crf=1) as writer:
        writer.write(planar)
        writer.write(to_rgb(planar))
    back = torch.cat([batch.yuv.y for batch in read_planes(tmp_path / "out.mp4")])
    assert (back.int() - planar.yuv.y.repeat(2, 1, 1).int()).abs().max() <= 3
    colours = torch.cat([batch.rgb for batch in read_frames(tmp_path / "out.mp4", batch_size=5)])
    assert colours.shape == (12, 96, 128, 3)


def test_time_stamps_come_back_in_seconds(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", rate=NTSC, frames=20)
    times = torch.cat([batch.timestamps_s for batch in read_frames(clip, batch_size=7)])
    assert torch.allclose(times, torch.arange(20, dtype=torch.float64) * 1001 / 30000, atol=1e-9)


def test_an_error_inside_the_block_leaves_no_file(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC) as writer:
            writer.write(grey(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_frames_is_an_error_and_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match="at least one frame"),
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match="64x48"),
        VideoWriter(tmp_path / "out.mp4", width=96, height=48, frame_rate=NTSC) as writer,
    ):
        writer.write(grey(1))


def test_an_odd_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="even"):
        VideoWriter(tmp_path / "out.mp4", width=63, height=48, frame_rate=NTSC)


def test_sound_is_carried_packet_by_packet_and_does_not_drift(tmp_path: Path) -> None:
    """Twenty seconds: the click near the end stays within a frame, and the sound ends with the picture."""
    sound = make.tone(20.0, 44_100, 2, click_s=19.0)
    clip = make.write_clip(tmp_path / "clip.mp4", rate=NTSC, frames=600, size=(64, 64), audio=("aac", sound, 44_100))
    driver = normalise_video(clip, tmp_path / "driver.mp4", limits=MediaLimits())
    with VideoWriter(
        tmp_path / "out.mp4", width=64, height=64, frame_rate=driver.frame_rate, preset="ultrafast", audio_from=driver.path
    ) as writer:
        for batch in read_planes(driver.path):
            writer.write(batch)
    assert packets(tmp_path / "out.mp4") == packets(driver.path)[: len(packets(tmp_path / "out.mp4"))]
    assert click_s(tmp_path / "out.mp4") == pytest.approx(19.0, abs=0.005)
    with av.open(str(tmp_path / "out.mp4")) as file:
        lengths = [float(stream.duration * stream.time_base) for stream in file.streams]
    assert abs(lengths[0] - lengths[1]) < 1 / 29


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(3, 10)])
def test_reordered_frames_do_not_move_the_sound(codec: str, start: Fraction, tmp_path: Path) -> None:
    """With B-frames the first picture is decoded before time zero; every packet of sound keeps its time to the sample."""
    sound = ("aac", make.tone(3.0, 48_000, 2, click_s=1.5), 48_000)
    clip = make.write_clip(tmp_path / "clip.mp4", rate=NTSC, frames=80, size=(64, 64), audio=sound, audio_start=start)
    driver = normalise_video(clip, tmp_path / "driver.mp4", limits=MediaLimits())
    with VideoWriter(tmp_path / "out.mp4", width=64, height=64, frame_rate=NTSC, codec=codec, audio_from=driver.path) as writer:
        for batch in read_planes(driver.path):
            writer.write(batch)
    times = [timed(path) for path in (clip, driver.path, tmp_path / "out.mp4")]
    count = len(times[2])
    assert times[0][:count] == times[1][:count] == times[2]
    assert click_s(tmp_path / "out.mp4") == pytest.approx(1.5 + float(start), abs=0.004)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert next(file.decode(video=0)).pts == 0


def timed(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as file:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in file.demux(audio=0) if packet.size]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def click_s(path: Path) -> float:
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            loud = (abs(frame.to_ndarray()[0]) > 0.2).nonzero()[0]
            if loud.size:
                return float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
    raise AssertionError("no click")


def test_a_silent_driver_gives_a_silent_video(tmp_path: Path) -> None:
    driver = make.write_clip(tmp_path / "silent.mp4", frames=3)
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=NTSC, audio_from=driver) as writer:
        writer.write(grey(3))
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert not file.streams.audio


def test_readers_refuse_what_is_not_normalised(tmp_path: Path) -> None:
    clip = make.write_clip(
        tmp_path / "deep.mp4",
        pixel_format="yuv444p",
        frames=2,
        picture=lambda w, h, i: torch.zeros(3, h, w, dtype=torch.uint8).numpy(),
    )
    with pytest.raises(BadInput, match="normalise"):
        next(read_planes(clip))
    with pytest.raises(BadInput, match="normalise"):
        next(read_planes(make.text_named_mp4(tmp_path)))
    with pytest.raises(BadInput, match="normalise"):
        read_still(make.text_named_mp4(tmp_path))
