"""Renders in a child process of its own: the site goes on when an engine is slow, hungry or broken. Pure.

One child, one frame at a time, each within a deadline; who finds too many waiting is sent away, and so is a studio that has its
share of the places. A scene that took too long is not tried again for a while: giving it up ends the child, and with it what the
child had prepared for others. The child ends by itself when nobody asked for a while, and with its parent.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import BoundedSemaphore, Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generation.engines.base import Options
from generation.previews.errors import PreviewBusy, PreviewFailed, PreviewRefused
from generation.previews.rendering import Scene, SceneKey, SceneRenderer
from media.errors import CountersignError

IDLE_S = 300.0
NICENESS = 5  # a page comes before a preview
WAITING_MAX = 8
SHARE_MAX = 2  # of these places, for one studio: one at work, one behind it
SPOILT_S = 30.0
KILL_WAIT_S = 5.0


Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one frame."""

    key: SceneKey
    options: Options
    at_s: float


class RendererProcess:
    """Like `SceneRenderer`, in another process. Safe to use from many threads."""

    def __init__(self, *, wait_s: float, deadline_s: float) -> None:
        self._wait_s, self._deadline_s = wait_s, deadline_s
        self._places, self._turn = BoundedSemaphore(WAITING_MAX), Lock()
        self._held: Counter[str] = Counter()  # places by studio
        self._counting = Lock()
        self._spoilt: dict[SceneKey, float] = {}  # when each may be tried again
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def frame(self, key: SceneKey, scene: Callable[[], Scene], options: Options, at_s: float) -> Tensor:
        """See `SceneRenderer.frame`. Raises PreviewBusy, PreviewFailed or PreviewRefused."""
        self._require_unspoilt(key)
        with self._shared(key[0]), self._queued():
            header, pixels = self._attempt(Ask(key, options, at_s), scene)
        if header["kind"] == "refused":
            raise PreviewRefused(str(header["message"]))
        return torch.from_numpy(np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 3).copy())

    def stop(self) -> None:
        """End the child, whatever it is doing; the next request starts another."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(KILL_WAIT_S)
        self._process = self._connection = None

    def _require_unspoilt(self, key: SceneKey) -> None:
        now = time.monotonic()
        if self._spoilt.get(key, now) > now:
            raise PreviewFailed

    @contextmanager
    def _shared(self, studio: str) -> Iterator[None]:
        with self._counting:
            if self._held[studio] >= SHARE_MAX:
                raise PreviewBusy
            self._held[studio] += 1
        try:
            yield
        finally:
            with self._counting:
                self._held -= Counter({studio: 1})  # forgets whoever holds none

    @contextmanager
    def _queued(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise PreviewBusy
        try:
            if not self._turn.acquire(timeout=self._wait_s):
                raise PreviewBusy
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _attempt(self, ask: Ask, scene: Callable[[], Scene]) -> tuple[Header, bytes]:
        in_step = False
        try:
            answer = self._exchange(ask, scene)
            in_step = True
        except (EOFError, OSError) as error:  # it died, or took too long
            if isinstance(error, TimeoutError):
                self._remember(ask.key)
            raise PreviewFailed from error
        finally:
            if not in_step:
                self.stop()
        return answer

    def _remember(self, key: SceneKey) -> None:
        now = time.monotonic()
        self._spoilt = {spoilt: until for spoilt, until in self._spoilt.items() if until > now} | {key: now + SPOILT_S}

    def _exchange(self, ask: Ask, scene: Callable[[], Scene]) -> tuple[Header, bytes]:
        deadline = time.monotonic() + self._deadline_s
        connection = self._running()
        connection.send_bytes(pickle.dumps(ask))
        header = json.loads(_received(connection, deadline))
        if header["kind"] == "scene":
            connection.send_bytes(pickle.dumps(scene()))
            header = json.loads(_received(connection, deadline))
        return header, _received(connection, deadline) if header["kind"] == "frame" else b""

    def _running(self) -> Connection:
        if self._connection is None or self._process is None or not self._process.is_alive():
            self.stop()
            context = get_context("spawn")  # a fork would copy this process's threads and locks
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs,), name="previews", daemon=True)
            self._process.start()
            theirs.close()
        return self._connection


def _received(connection: Connection, deadline: float) -> bytes:
    if not connection.poll(max(0.0, deadline - time.monotonic())):
        raise TimeoutError
    return connection.recv_bytes()


def serve(connection: Connection) -> None:
    """The child: answers until it is left alone."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end we notice
    renderer = SceneRenderer()
    try:
        while connection.poll(IDLE_S):
            _answer(connection, renderer)
    except EOFError:
        return


def _answer(connection: Connection, renderer: SceneRenderer) -> None:
    def scene() -> Scene:
        _send(connection, kind="scene")
        asked_for: Scene = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
        return asked_for

    ask: Ask = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
    try:
        frame = renderer.frame(ask.key, scene, ask.options, ask.at_s)
    except CountersignError as error:
        _send(connection, kind="refused", message=error.message)
        return
    _send(connection, kind="frame", height=frame.shape[0], width=frame.shape[1])
    connection.send_bytes(frame.numpy().tobytes())


def _send(connection: Connection, **header: int | str) -> None:
    connection.send_bytes(json.dumps(header).encode())
