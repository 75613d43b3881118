"""Renders in child processes: the site goes on when an engine is slow, hungry or broken. Pure.

Each scene has a child of its own, so that giving one up costs nobody else what they had prepared. A studio has one frame made at
a time and leaves a turn to others; it waits for one more, and who finds too many waiting is sent away. A scene that took too long
is not tried again for a while. A child ends by itself when nobody asked for a while, and with its parent.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections import Counter, OrderedDict
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
from generation.previews.rendering import PreparedScene, Scene, SceneKey
from media.errors import CountersignError

CHILDREN_MAX = 4  # each keeps one prepared scene
AT_WORK_MAX = 2
IDLE_S = 300.0
NICENESS = 5  # a page comes before a preview
WAITING_MAX = 8
SHARE_MAX = 2  # of these places, for one studio: one at work, one behind it
SPOILT_S = 30.0
KILL_WAIT_S = 5.0

# one process that has loaded the engines forks all children: each starts at once and shares that memory
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "generation.previews.process"])

Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one frame."""

    options: Options
    at_s: float


class _Child:
    """A process that shows one scene."""

    def __init__(self) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process: BaseProcess = _CONTEXT.Process(target=serve, args=(theirs,), name="previews", daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.is_alive()

    def ask(self, ask: Ask, scene: Callable[[], Scene], deadline: float) -> tuple[Header, bytes]:
        """The answer. Raises EOFError or OSError when it dies, TimeoutError when the deadline passes."""
        self._connection.send_bytes(pickle.dumps(ask))
        header = json.loads(_received(self._connection, deadline))
        if header["kind"] == "scene":
            self._connection.send_bytes(pickle.dumps(scene()))
            header = json.loads(_received(self._connection, deadline))
        return header, _received(self._connection, deadline) if header["kind"] == "frame" else b""

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self._connection.close()
        self._process.kill()
        self._process.join(KILL_WAIT_S)


class RendererPool:
    """Makes the frames of many scenes, for many threads."""

    def __init__(self, *, wait_s: float, deadline_s: float) -> None:
        self._wait_s, self._deadline_s = wait_s, deadline_s
        self._lock = Lock()  # over all that follows
        self._held: Counter[str] = Counter()  # places by studio
        self._turns = BoundedSemaphore(AT_WORK_MAX)
        self._turn_of: dict[str, Lock] = {}  # one frame at a time for each studio that holds a place
        self._spoilt: dict[SceneKey, float] = {}  # when each may be tried again
        self._idle: OrderedDict[SceneKey, _Child] = OrderedDict()  # the one used last at the end
        self._working = 0

    def frame(self, key: SceneKey, scene: Callable[[], Scene], options: Options, at_s: float) -> Tensor:
        """See `rendering.PreparedScene.frame`; `scene` is called when no child shows it.

        Raises PreviewBusy, PreviewFailed or PreviewRefused.
        """
        self._require_unspoilt(key)
        try:
            with self._turn(key[0]), self._child(key) as child:
                header, pixels = child.ask(Ask(options, at_s), scene, time.monotonic() + self._deadline_s)
        except (EOFError, OSError) as error:  # it died, or took too long
            if isinstance(error, TimeoutError):
                self._remember(key)
            raise PreviewFailed from error
        if header["kind"] == "refused":
            raise PreviewRefused(str(header["message"]))
        return torch.from_numpy(np.frombuffer(pixels, np.uint8).reshape(header["height"], header["width"], 3).copy())

    def stop(self) -> None:
        """End the children that nobody waits for; the next requests start others."""
        with self._lock:
            ended, self._idle = self._idle, OrderedDict()
        for child in ended.values():
            child.stop()

    def children(self) -> dict[SceneKey, int]:
        """Process ids of the children that wait to be asked, by scene."""
        return {key: child.pid for key, child in self._idle.items() if child.is_alive()}

    def _require_unspoilt(self, key: SceneKey) -> None:
        now = time.monotonic()
        if self._spoilt.get(key, now) > now:
            raise PreviewFailed

    def _remember(self, key: SceneKey) -> None:
        now = time.monotonic()
        with self._lock:
            self._spoilt = {spoilt: until for spoilt, until in self._spoilt.items() if until > now} | {key: now + SPOILT_S}

    @contextmanager
    def _turn(self, studio: str) -> Iterator[None]:
        """A studio's turn. Raises PreviewBusy when too many wait, or it does not come in time."""
        until = time.monotonic() + self._wait_s
        with self._lock:
            if self._held[studio] >= SHARE_MAX or self._held.total() >= WAITING_MAX:
                raise PreviewBusy
            self._held[studio] += 1
            own = self._turn_of.setdefault(studio, Lock())
        try:
            with _taken(own, until), _taken(self._turns, until):
                yield
        finally:
            with self._lock:
                self._held -= Counter({studio: 1})  # forgets whoever holds none
                if studio not in self._held:
                    del self._turn_of[studio]

    @contextmanager
    def _child(self, key: SceneKey) -> Iterator[_Child]:
        """The child of a scene, this thread's alone. It is kept unless something goes wrong."""
        child, ended = self._take(key)
        for other in ended:
            other.stop()
        in_step = False
        try:
            child = child or _Child()
            yield child
            in_step = True
        finally:
            if child is not None and not in_step:
                child.stop()
            with self._lock:
                self._working -= 1
                if child is not None and in_step:
                    self._idle[key] = child

    def _take(self, key: SceneKey) -> tuple[_Child | None, list[_Child]]:
        """The scene's child, if it lives, and those that have to make room: a studio's own come first."""
        with self._lock:
            child = self._idle.pop(key, None)
            ended = [] if child is None or child.is_alive() else [child]
            self._working += 1
            while len(self._idle) + self._working > CHILDREN_MAX:
                own = (other for other in self._idle if other[0] == key[0])
                ended.append(self._idle.pop(next(own, next(iter(self._idle)))))
        return (None if ended and ended[0] is child else child), ended


@contextmanager
def _taken(lock: Lock | BoundedSemaphore, until: float) -> Iterator[None]:
    if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
        raise PreviewBusy
    try:
        yield
    finally:
        lock.release()


def _received(connection: Connection, deadline: float) -> bytes:
    if not connection.poll(max(0.0, deadline - time.monotonic())):
        raise TimeoutError
    return connection.recv_bytes()


def serve(connection: Connection) -> None:
    """The child: answers until it is left alone."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end we notice
    stage: PreparedScene | None = None
    try:
        while connection.poll(IDLE_S):
            stage = _answer(connection, stage)
    except EOFError:
        return


def _answer(connection: Connection, stage: PreparedScene | None) -> PreparedScene | None:
    ask: Ask = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
    try:
        if stage is None:
            _send(connection, kind="scene")
            stage = PreparedScene(pickle.loads(connection.recv_bytes()))  # noqa: S301 - from our own parent
        frame = stage.frame(ask.options, ask.at_s)
    except CountersignError as error:
        _send(connection, kind="refused", message=error.message)
        return stage
    _send(connection, kind="frame", height=frame.shape[0], width=frame.shape[1])
    connection.send_bytes(frame.numpy().tobytes())
    return stage


def _send(connection: Connection, **header: int | str) -> None:
    connection.send_bytes(json.dumps(header).encode())
