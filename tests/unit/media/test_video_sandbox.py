"""Untrusted media is decoded in a process that is bounded in time and memory and never outlives its reader."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from media.errors import BadInput
from media.limits import MediaLimits
from media.video import VideoWriter, probe, read_planes, sandbox, stream_untrusted
from tests.hostile import make

LIMITS = MediaLimits()


def children() -> set[int]:
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False).stdout
    return {int(pid) for pid in listing.split() if Path(f"/proc/{pid}/stat").exists()}


def test_the_process_dies_with_its_reader(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", size=(640, 480), frames=40)
    before = children()
    stream = stream_untrusted(clip, limits=LIMITS).planes(batch_size=1)
    next(stream)
    assert children() - before
    stream.close()
    assert not children() - before


def test_a_process_that_hangs_is_killed_on_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    before = children()
    began = time.monotonic()
    with pytest.raises(BadInput, match="too long"):
        probe(clip, limits=MediaLimits(decode_cpu_seconds=1))
    assert time.monotonic() - began < 5
    assert not children() - before


def test_a_process_that_crashes_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    with pytest.raises(BadInput, match="cannot be decoded safely; export it again"):
        probe(clip, limits=LIMITS)


def test_a_process_that_talks_nonsense_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", "print('x' * 100)"))
    with pytest.raises(BadInput, match="cannot be decoded safely"):
        probe(clip, limits=LIMITS)


def test_processor_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=2)
    spin = "from media.decoder.__main__ import confine, MediaLimits\nconfine(MediaLimits(decode_cpu_seconds=1))\nwhile True: pass"
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-P", "-c", spin))
    began = time.monotonic()
    with pytest.raises(BadInput, match="too long"):
        probe(clip, limits=MediaLimits(decode_cpu_seconds=60))
    assert time.monotonic() - began < 30


def test_memory_is_bounded(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "large.mp4", size=(2048, 2048), frames=3)
    with pytest.raises(BadInput):
        probe(clip, limits=MediaLimits(decode_memory_bytes=100 * 2**20))


def test_the_process_gets_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_SECRET", "hush")
    clip = make.write_clip(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setattr(
        sandbox, "COMMAND", (sys.executable, "-c", "import os, sys; sys.exit('COUNTERSIGN_SECRET' in os.environ)")
    )
    statuses: list[int | None] = []
    monkeypatch.setattr(sandbox, "_report", lambda child, log, what: statuses.append(child.wait()))
    with pytest.raises(BadInput):
        probe(clip, limits=LIMITS)
    assert statuses == [0]


def test_the_process_starts_fast_and_without_torch() -> None:
    script = "import sys, media.decoder.__main__ as m; sys.exit('torch' in sys.modules or 'django' in sys.modules)"
    environment = {"PYTHONPATH": str(sandbox.PACKAGES)}
    assert subprocess.run([sys.executable, "-P", "-c", script], env=environment, check=False).returncode == 0


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Reading an untrusted clip and writing it again: 200 frames cost hardly more memory than 40."""

    def run(frames: int) -> int:
        clip = make.write_clip(tmp_path / f"{frames}.mp4", size=(640, 360), frames=frames)
        opened = stream_untrusted(clip, limits=LIMITS)
        with VideoWriter(
            tmp_path / "out.mp4", width=640, height=360, frame_rate=opened.info.frame_rate, preset="ultrafast"
        ) as writer:
            for batch in opened.planes():
                writer.write(batch)
        for _ in read_planes(tmp_path / "out.mp4"):
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    run(40)
    warm = run(40)
    assert run(200) - warm < 25 * 1024  # kB; 160 frames of 640x360 would be 55 MB


def test_each_frame_comes_with_its_own_time(tmp_path: Path) -> None:
    ticks = [0, 40, 100, 120, 300, 340]
    clip = make.write_clip(tmp_path / "variable.mkv", ticks=ticks, tick_s=make.Fraction(1, 1000))
    times = torch.cat([batch.timestamps_s for batch in stream_untrusted(clip, limits=LIMITS).planes(batch_size=4)])
    assert times.tolist() == pytest.approx([tick / 1000 for tick in ticks])


def test_a_frame_held_at_the_end_comes_again_where_it_ends(tmp_path: Path) -> None:
    clip, held = make.write_clip(tmp_path / "clip.mp4", frames=10), tmp_path / "held.mp4"
    with av.open(str(clip)) as given, av.open(str(held), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux() if packet.size]
        packets[-1].duration = int(3 / packets[-1].time_base)
        for packet in packets:
            packet.stream = stream
            made.mux(packet)
    plain, longer = (list(stream_untrusted(path, limits=LIMITS).planes(batch_size=1)) for path in (clip, held))
    assert len(longer) == len(plain) + 1
    step_s = float(plain[1].timestamps_s[0])
    assert float(longer[-1].timestamps_s[0]) == pytest.approx(float(plain[-1].timestamps_s[0]) + 3 - step_s, abs=0.01)
    assert torch.equal(longer[-1].yuv.y, longer[-2].yuv.y)


def test_what_is_opposite_in_two_channels_is_in_the_stereo_sound_alone(tmp_path: Path) -> None:
    tone = make.tone(2, 48_000, 2)
    opposite = np.stack([tone[0], -tone[0]])
    clip = stream_untrusted(make.write_clip(tmp_path / "clip.mp4", frames=50, audio=("aac", opposite, 48_000)), limits=LIMITS)
    mono, stereo = clip.audio(), clip.stereo()
    assert mono is not None
    assert stereo.samples is not None
    assert np.abs(mono).max() < 0.01
    assert np.abs(stereo.samples[:, 0]).max() > 0.1
    assert stereo.samples[4000:20000, 0] == pytest.approx(-stereo.samples[4000:20000, 1], abs=0.01)
    assert stereo.text_streams == 0


def test_mono_sound_is_the_same_in_both_channels(tmp_path: Path) -> None:
    mono = make.tone(2, 48_000, 2)[:1]
    clip = stream_untrusted(make.write_clip(tmp_path / "clip.mp4", frames=50, audio=("aac", mono, 48_000)), limits=LIMITS)
    samples = clip.stereo().samples
    assert samples is not None
    assert np.array_equal(samples[:, 0], samples[:, 1])


def test_a_track_of_text_is_counted(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", frames=50, audio=("aac", make.tone(2, 48_000, 2), 48_000))
    content = clip.read_bytes()
    assert content.count(b"soun") == 1
    clip.write_bytes(content.replace(b"soun", b"sbtl").replace(b"mp4a", b"tx3g"))
    assert stream_untrusted(clip, limits=LIMITS).stereo().text_streams == 1


def test_a_clip_without_sound_has_no_samples(tmp_path: Path) -> None:
    assert stream_untrusted(make.write_clip(tmp_path / "mute.mp4"), limits=LIMITS).audio() is None


def test_sound_is_mono_at_the_rate_asked_for(tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "tone.mp4", frames=50, audio=("aac", make.tone(2, 48_000, 2), 48_000))
    samples = stream_untrusted(clip, limits=LIMITS).audio(sample_rate=16_000)
    assert samples is not None
    assert samples.shape[0] == pytest.approx(32_000, abs=700)
    spectrum = abs(torch.fft.rfft(torch.from_numpy(samples[:16_000].copy())))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)
