"""The process beside the site that renders previews: killed when it is slow, started again, never waited for without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch

from generation.engines.base import WHOLE_SOURCE, FaceTrack, Options, Performance, SourceFace, Still
from generation.previews import process
from generation.previews.errors import PreviewBusy, PreviewFailed, PreviewRefused
from generation.previews.process import RendererProcess
from generation.previews.rendering import Scene

START_S = 120.0  # a child imports torch, on two loaded cores
KEY = ("a job",)


def scene_without_a_face() -> Scene:
    """The cheapest answer of a real engine: no."""
    track = FaceTrack(torch.zeros(2, 478, 3), torch.ones(2), Fraction(24), 64, 64)
    still = Still(torch.full((128, 128, 3), 90, dtype=torch.uint8))
    return Scene("mesh", "cpu", still, WHOLE_SOURCE, (Performance(SourceFace((10.0, 10.0, 90.0, 90.0)), track),))


def ask(renderer: RendererProcess) -> None:
    renderer.frame(KEY, scene_without_a_face, Options(), 0.0)


@pytest.fixture
def renderer() -> Iterator[RendererProcess]:
    renderer = RendererProcess(wait_s=0.1, deadline_s=START_S)
    yield renderer
    renderer.stop()


def test_what_the_engine_refuses_is_told_and_the_process_goes_on(renderer: RendererProcess) -> None:
    for _ in range(2):
        with pytest.raises(PreviewRefused, match="face"):
            ask(renderer)
    child = renderer._process
    assert child is not None
    assert child.is_alive()
    child.kill()  # as the kernel does with whoever takes too much memory
    child.join()
    with pytest.raises(PreviewRefused, match="face"):
        ask(renderer)
    assert renderer._process is not child


def test_a_frame_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    renderer = RendererProcess(wait_s=0.1, deadline_s=0.05)
    began = time.monotonic()
    with pytest.raises(PreviewFailed, match="try again"):
        ask(renderer)
    assert time.monotonic() - began < process.KILL_WAIT_S
    assert renderer._process is None


def test_a_scene_that_cannot_be_read_leaves_no_process_waiting_for_it(renderer: RendererProcess) -> None:
    def missing() -> Scene:
        raise FileNotFoundError("the portrait is gone")

    with pytest.raises(PreviewFailed):
        renderer.frame(KEY, missing, Options(), 0.0)
    assert renderer._process is None


def test_nobody_waits_long_behind_others(renderer: RendererProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    go, at_work = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        at_work.set()
        go.wait(START_S)
        raise OSError

    monkeypatch.setattr(renderer, "_exchange", slow)

    def ask_first() -> None:
        with pytest.raises(PreviewFailed):
            ask(renderer)

    first = threading.Thread(target=ask_first)
    first.start()
    at_work.wait(START_S)
    with pytest.raises(PreviewBusy, match="few seconds"):
        ask(renderer)
    go.set()
    first.join()


def test_a_crowd_is_sent_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WAITING_MAX", 0)
    with pytest.raises(PreviewBusy):
        ask(RendererProcess(wait_s=START_S, deadline_s=START_S))


def test_one_studio_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch, renderer: RendererProcess) -> None:
    monkeypatch.setattr(process, "SHARE_MAX", 0)
    with pytest.raises(PreviewBusy):
        ask(renderer)


def test_a_scene_that_took_too_long_does_not_end_the_process_again() -> None:
    renderer = RendererProcess(wait_s=0.1, deadline_s=0.05)
    with pytest.raises(PreviewFailed):
        ask(renderer)
    began = time.monotonic()
    with pytest.raises(PreviewFailed):
        ask(renderer)
    assert renderer._process is None  # none was started for it
    assert time.monotonic() - began < 0.05
