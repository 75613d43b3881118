"""The processes beside the site that render previews: killed when slow, started again, never waited for without end, and
nobody's loss but his who asked for too much."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
import skimage.data
import torch

from generation.engines.base import WHOLE_SOURCE, FaceTrack, Options, Performance, SourceFace, Still
from generation.previews import process
from generation.previews.errors import PreviewBusy, PreviewFailed, PreviewRefused
from generation.previews.process import RendererPool
from generation.previews.rendering import Scene, SceneKey
from media.frames import FrameBatch
from media.tracking import FaceTracker

START_S = 120.0  # the first child imports torch, on two loaded cores
KEY = ("a studio", "a job")
OTHERS = ("another studio", "its job")


def scene_without_a_face() -> Scene:
    """The cheapest answer of a real engine: no."""
    track = FaceTrack(torch.zeros(2, 478, 3), torch.ones(2), Fraction(24), 64, 64)
    still = Still(torch.full((128, 128, 3), 90, dtype=torch.uint8))
    return Scene("mesh", "cpu", still, WHOLE_SOURCE, (Performance(SourceFace((10.0, 10.0, 90.0, 90.0)), track),))


@pytest.fixture(scope="module")
def scene_with_a_face() -> Scene:
    """A photo that performs itself."""
    rgb = torch.from_numpy(skimage.data.astronaut()[:300, 80:380].copy())
    face = next(iter(FaceTracker().track([FrameBatch(rgb[None], torch.zeros(1, dtype=torch.float64))]))).faces[0]
    track = FaceTrack(face.landmarks.expand(4, -1, -1).clone(), torch.ones(4), Fraction(24), 300, 300)
    shape = replace(WHOLE_SOURCE, short_side=256)
    return Scene("mesh", "cpu", Still(rgb), shape, (Performance(SourceFace(tuple(face.box)), track),))


def ask(pool: RendererPool, key: SceneKey = KEY) -> None:
    pool.frame(key, scene_without_a_face, Options(), 0.0)


@pytest.fixture
def pool() -> Iterator[RendererPool]:
    pool = RendererPool(wait_s=0.1, deadline_s=START_S)
    yield pool
    pool.stop()


def test_what_the_engine_refuses_is_told_and_the_process_goes_on(pool: RendererPool) -> None:
    for _ in range(2):
        with pytest.raises(PreviewRefused, match="face"):
            ask(pool)
    (child,) = pool.children().values()
    os.kill(child, signal.SIGKILL)  # as the kernel does with whoever takes too much memory
    while pool.children():
        time.sleep(0.01)
    with pytest.raises(PreviewRefused, match="face"):
        ask(pool)
    assert pool.children()[KEY] != child


def test_a_frame_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    pool = RendererPool(wait_s=0.1, deadline_s=0.001)
    began = time.monotonic()
    with pytest.raises(PreviewFailed, match="try again"):
        ask(pool)
    assert time.monotonic() - began < process.KILL_WAIT_S + START_S / 4
    assert not pool.children()


def test_who_takes_too_long_costs_another_studio_nothing_it_had_prepared(pool: RendererPool, scene_with_a_face: Scene) -> None:
    prepared: list[int] = []

    def once() -> Scene:
        prepared.append(1)
        return scene_with_a_face

    first = pool.frame(OTHERS, once, Options(), 0.0)
    theirs = pool.children()[OTHERS]
    pool._deadline_s = 0.001
    for number in range(2):
        with pytest.raises(PreviewFailed):
            ask(pool, (KEY[0], f"job {number}"))
    pool._deadline_s = START_S
    assert pool.children() == {OTHERS: theirs}
    assert torch.equal(pool.frame(OTHERS, once, Options(), 0.0), first)
    assert len(prepared) == 1


def test_another_studio_is_served_while_one_is_slow(pool: RendererPool, monkeypatch: pytest.MonkeyPatch) -> None:
    go, at_work = threading.Event(), threading.Event()
    usual = process._Child.ask

    def slow_for_one(child: process._Child, asked: process.Ask, *rest: object) -> object:
        if asked.at_s == 1.0:
            at_work.set()
            go.wait(START_S)
            raise OSError
        return usual(child, asked, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(process._Child, "ask", slow_for_one)

    def ask_slowly() -> None:
        with pytest.raises(PreviewFailed):
            pool.frame(KEY, scene_without_a_face, Options(), 1.0)

    slow = threading.Thread(target=ask_slowly)
    slow.start()
    at_work.wait(START_S)
    with pytest.raises(PreviewRefused, match="face"):
        ask(pool, OTHERS)
    with pytest.raises(PreviewBusy, match="few seconds"):
        ask(pool, (KEY[0], "its other job"))  # its own second request waits for the first
    go.set()
    slow.join()


def test_a_studio_that_opens_many_scenes_pushes_out_its_own(pool: RendererPool) -> None:
    with pytest.raises(PreviewRefused):
        ask(pool, OTHERS)
    theirs = pool.children()[OTHERS]
    for number in range(process.CHILDREN_MAX + 1):
        with pytest.raises(PreviewRefused):
            ask(pool, (KEY[0], f"job {number}"))
    assert pool.children()[OTHERS] == theirs
    assert len(pool.children()) == process.CHILDREN_MAX


def test_a_scene_that_cannot_be_read_leaves_no_process_waiting_for_it(pool: RendererPool) -> None:
    def missing() -> Scene:
        raise FileNotFoundError("the portrait is gone")

    with pytest.raises(PreviewFailed):
        pool.frame(KEY, missing, Options(), 0.0)
    assert not pool.children()


@pytest.mark.parametrize("limit", ["WAITING_MAX", "SHARE_MAX"])
def test_a_crowd_is_sent_away_at_once(monkeypatch: pytest.MonkeyPatch, pool: RendererPool, limit: str) -> None:
    monkeypatch.setattr(process, limit, 0)
    with pytest.raises(PreviewBusy):
        ask(pool)


def test_a_scene_that_took_too_long_starts_no_process_again() -> None:
    pool = RendererPool(wait_s=0.1, deadline_s=0.001)
    with pytest.raises(PreviewFailed):
        ask(pool)
    began = time.monotonic()
    with pytest.raises(PreviewFailed):
        ask(pool)
    assert not pool.children()
    assert time.monotonic() - began < 0.05
