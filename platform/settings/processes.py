"""Worker processes: start them, stop them, and tell whether one is listening.

A worker holds a `flock` on a file that names its queues. The kernel drops it with the process, so a file whose lock can be
taken is a dead worker's, however it died.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
LIFELINE = "COUNTERSIGN_LIFELINE_FD"
WORK_QUEUES = ("cpu", "gpu", "verify")
SIGN_QUEUES = ("sign",)
CELERY = ("-m", "celery", "-q", "-A", "settings.celery_app")
START_SECONDS = 120.0  # two seconds on an idle machine, half a minute on a crowded one
STOP_SECONDS = 20.0


class ProcessProblem(Exception):
    """A process did not start or ended too early; the message says what to do."""


@dataclass(slots=True)
class Child:
    """A process of ours. Closing `lifeline`, which our own death does too, tells it to stop."""

    name: str
    process: subprocess.Popen[bytes]
    lifeline: int | None

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self.alive():
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self) -> None:
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: IO[bytes] | None = None) -> Child:
    """Start a Python module or script with our interpreter, in a session of its own, so that Ctrl-C reaches only us."""
    reading, writing = os.pipe()
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform"), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**environment, "PYTHONPATH": path, LIFELINE: str(reading)},
        cwd=ROOT,
        pass_fds=[reading],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if log is None else log,
        stderr=log,
        start_new_session=True,
    )
    os.close(reading)
    return Child(name, process, writing)


def start_worker(queues: Sequence[str], environment: Mapping[str, str], log: IO[bytes] | None = None) -> Child:
    """Start a worker of these queues and return once it listens.

    Raises: ProcessProblem when it ends or does not listen within two minutes.
    """
    role = "signer" if set(queues) == set(SIGN_QUEUES) else "worker"
    name = "-".join(queues)
    command = [*CELERY, "worker", "-Q", ",".join(queues), "--pool", "solo"]
    options = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "-n", f"{name}-{os.urandom(4).hex()}@%h"]
    child = start(name, [*command, *options], {**environment, "COUNTERSIGN_ROLE": role}, log)
    _await_worker(child, Path(environment.get("COUNTERSIGN_VAR") or ROOT / "var"))
    return child


def start_beat(environment: Mapping[str, str], log: IO[bytes] | None = None) -> Child:
    """Start the process that asks for a sweep of overdue jobs every few seconds."""
    schedule = Path(environment.get("COUNTERSIGN_VAR") or ROOT / "var") / "run" / "beat-schedule"
    command = [
        "-m",
        "celery",
        "-q",
        "-A",
        "settings.celery_app",
        "beat",
        "-s",
        str(schedule),
        "--pidfile=",
        "--loglevel",
        "WARNING",
    ]
    return start("beat", command, environment, log)


@contextmanager
def workers(environment: Mapping[str, str], *, log: IO[bytes] | None = None) -> Iterator[list[Child]]:
    """Run the two workers every installation has: one for the work, one that alone reaches the signing key."""
    children: list[Child] = []
    try:
        for queues in (WORK_QUEUES, SIGN_QUEUES):
            children.append(start_worker(queues, environment, log))
        yield children
    finally:
        for child in reversed(children):
            child.stop()


@contextmanager
def present(var_dir: Path, queues: Iterable[str]) -> Iterator[None]:
    """Show, while the block runs, that this process listens to these queues."""
    path = _folder(var_dir) / f"{os.getpid()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(sorted(queues), file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def listening(var_dir: Path) -> dict[int, frozenset[str]]:
    """Return the queues of every live worker of this checkout, by process id, and clear away those of dead ones."""
    found: dict[int, frozenset[str]] = {}
    for path in _folder(var_dir).glob("*.json"):
        queues = _queues_if_held(path)
        if queues is None:
            path.unlink(missing_ok=True)
        else:
            found[int(path.stem)] = queues
    return found


def covered(var_dir: Path, queues: Iterable[str]) -> bool:
    """Tell whether live workers of this checkout listen to all of these queues."""
    return set(queues) <= {queue for held in listening(var_dir).values() for queue in held}


def end_with_parent() -> None:
    """Stop this process when the one that started it is gone; does nothing in a process started by other means."""
    descriptor = os.environ.pop(LIFELINE, "")
    if descriptor:
        threading.Thread(target=_await_end, args=[int(descriptor)], name="lifeline", daemon=True).start()


def _await_end(descriptor: int) -> None:
    # nobody writes: the read returns when the parent closes its end or dies
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _await_worker(child: Child, var_dir: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while child.pid not in listening(var_dir):
        if not child.alive():
            raise ProcessProblem(f"The worker of {child.name} ended with {child.process.returncode}; read its messages above.")
        if time.monotonic() > deadline:
            child.stop()
            raise ProcessProblem(f"The worker of {child.name} did not start in {START_SECONDS:.0f} s; read its messages above.")
        time.sleep(0.05)


def _folder(var_dir: Path) -> Path:
    return var_dir / "run" / "workers"


def _queues_if_held(path: Path) -> frozenset[str] | None:
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_queues(path)
    except FileNotFoundError:
        return None
    return None


def _read_queues(path: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        # it ended, or has not written yet: either way it listens to nothing
        return frozenset()
