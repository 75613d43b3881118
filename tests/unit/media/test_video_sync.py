"""Ten minutes of flashes and beeps: the frame rate stays exact, and sound and picture stay together to the end."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest

from media.limits import MediaLimits
from media.video import NormalisedVideo, VideoWriter, normalise_video, read_planes
from tests.hostile import make

TEN_MINUTES_S = 600
LIMITS = MediaLimits(video_seconds=700, video_frames=40_000)
SIDE_PX, SOUND_RATE = 64, 16_000
DARK, FLASH = np.full((SIDE_PX * 3 // 2, SIDE_PX), 40, np.uint8), np.full((SIDE_PX * 3 // 2, SIDE_PX), 200, np.uint8)
MOMENTS_S = (1, 150, 300, 450, 598)
MILLISECOND = Fraction(1, 1000)


def flashing(path: Path, times_s: list[Fraction], tick_s: Fraction) -> list[Fraction]:
    """Write a clip with a bright frame and a beep together at the first frame after each moment; returns those times."""
    flashes = [next(index for index, time_s in enumerate(times_s) if time_s >= moment) for moment in MOMENTS_S]
    sound = np.zeros((1, TEN_MINUTES_S * SOUND_RATE), np.float32)
    beep = np.sin(2 * np.pi * 2000 * np.arange(SOUND_RATE // 50) / SOUND_RATE)
    for index in flashes:
        start = round(times_s[index] * SOUND_RATE)
        sound[0, start : start + beep.size] = beep
    make.write_clip(
        path,
        size=(SIDE_PX, SIDE_PX),
        ticks=[round(time_s / tick_s) for time_s in times_s],
        tick_s=tick_s,
        picture=lambda width, height, index: FLASH if index in flashes else DARK,
        audio=("aac", sound, SOUND_RATE),
    )
    return [times_s[index] for index in flashes]


def rendered(driver: NormalisedVideo, destination: Path) -> Path:
    """The frames of the driver through the writer, with its sound: what a render does around the animation."""
    with VideoWriter(
        destination,
        width=driver.width,
        height=driver.height,
        frame_rate=driver.frame_rate,
        preset="ultrafast",
        audio_from=driver.path,
    ) as writer:
        for batch in read_planes(driver.path, batch_size=64):
            writer.write(batch)
    return destination


def flashes_s(path: Path) -> tuple[list[float], list[Fraction]]:
    """When bright frames begin, and the time of every frame, as a player shows them."""
    with av.open(str(path)) as file:
        shown = [(frame.pts * frame.time_base, bytes(frame.planes[0])[0] > 120) for frame in file.decode(video=0)]
    lit = [False, *(bright for _, bright in shown)]
    return [float(time_s) for before, (time_s, bright) in zip(lit, shown, strict=False) if bright and not before], [
        time_s for time_s, _ in shown
    ]


def beeps_s(path: Path) -> list[float]:
    """When beeps begin, to a millisecond or two."""
    found: list[float] = []
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            loud = (np.abs(frame.to_ndarray()[0]) > 0.3).nonzero()[0]
            start_s = float(frame.pts * frame.time_base) + (loud[0] / SOUND_RATE if loud.size else 0)
            if loud.size and (not found or start_s > found[-1] + 1):
                found.append(start_s)
    return found


def packets(path: Path) -> list[tuple[int, bytes]]:
    """Time stamp in samples, and payload, of every packet of sound."""
    with av.open(str(path)) as file:
        return [
            (round(packet.pts * packet.time_base * SOUND_RATE), bytes(packet)) for packet in file.demux(audio=0) if packet.size
        ]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)], ids=str)
def test_ten_minutes_at_a_fractional_rate_neither_drift_nor_change_the_rate(rate: Fraction, tmp_path: Path) -> None:
    count = int(TEN_MINUTES_S * rate)
    moments = flashing(tmp_path / "clip.mp4", [index / rate for index in range(count)], 1 / rate)
    driver = normalise_video(tmp_path / "clip.mp4", tmp_path / "driver.mp4", limits=LIMITS)
    assert (driver.frame_rate, driver.frame_count) == (rate, count)
    out = rendered(driver, tmp_path / "out.mp4")
    seen, times = flashes_s(out)
    assert times == [index / rate for index in range(count)]
    assert seen == pytest.approx([float(moment) for moment in moments], abs=1e-9)
    assert beeps_s(out) == pytest.approx(seen, abs=0.004)
    assert packets(out) == packets(tmp_path / "clip.mp4")[: len(packets(out))]
    assert len(packets(out)) / SOUND_RATE * 1024 == pytest.approx(count / rate, abs=0.2)


def test_ten_minutes_at_a_variable_rate_keep_sound_and_picture_together(tmp_path: Path) -> None:
    """A phone's time stamps: 30 frames a second with jitter, dropped frames and a slow stretch; in milliseconds."""
    steps_ms = cycle([33, 34, 33, 33, 36, 31, 67, 33, 34, 50, 17, 33])
    ticks = list(accumulate(islice(steps_ms, 18_000), initial=0))
    times_s = [tick * MILLISECOND for tick in ticks if tick < TEN_MINUTES_S * 1000]
    moments = flashing(tmp_path / "clip.mkv", times_s, MILLISECOND)
    driver = normalise_video(tmp_path / "clip.mkv", tmp_path / "driver.mp4", limits=LIMITS)
    frame_s = float(1 / driver.frame_rate)
    assert driver.frame_rate in (30, Fraction(30000, 1001))
    assert driver.duration_s == pytest.approx(float(times_s[-1]) + frame_s, abs=frame_s)
    out = rendered(driver, tmp_path / "out.mp4")
    seen, times = flashes_s(out)
    assert times == [index / driver.frame_rate for index in range(driver.frame_count)]
    assert seen == pytest.approx([float(moment) for moment in moments], abs=frame_s / 2 + 1e-6)
    assert beeps_s(out) == pytest.approx(seen, abs=frame_s / 2 + 0.004)
    copied = [payload for _, payload in packets(out)]
    assert copied == [payload for _, payload in packets(tmp_path / "clip.mkv")][: len(copied)]
