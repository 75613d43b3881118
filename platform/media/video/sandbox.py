"""The parent's side of the decoder process: start it, read its messages under limits, and never leave it running."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from media.decoder.wire import Header, WireError, receive
from media.errors import BadInput
from media.limits import MediaLimits

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "media.decoder")  # -P: the folder we happen to stand in is not searched for modules
PACKAGES = Path(__file__).parents[2]
KILL_WAIT_S = 5.0
LOG_TAIL_BYTES = 2000
READ_BYTES = 1 << 20
EXHAUSTED = "the file took too long to decode; upload a shorter or smaller one"
CRASHED = "the file cannot be decoded safely; export it again, video as H.264 in MP4, images as PNG"


@contextmanager
def decoding(operation: str, path: Path, limits: MediaLimits, **options: Any) -> Iterator[Iterator[tuple[Header, bytes]]]:
    """Run one operation of `media.decoder` on an untrusted file; yields its messages, each a header and a payload.

    Leaving the block kills the process, whatever it is doing. The messages raise BadInput when the file is refused, when the
    process dies, and when it keeps us waiting for more than `limits.decode_cpu_seconds` altogether.
    """
    check_file(path, limits.still_bytes if operation == "still" else limits.video_bytes)
    request = {"operation": operation, "path": str(path.resolve()), "limits": asdict(limits), **options}
    with ExitStack() as cleanup:
        log = cleanup.enter_context(tempfile.TemporaryFile())
        child = _start(request, log)
        cleanup.callback(_stop, child)
        yield _messages(child, limits, log)


def check_file(path: Path, bytes_max: int) -> None:
    """Raise BadInput unless the path is a regular file, not empty and within `bytes_max`."""
    if not path.is_file():
        raise BadInput("the file is missing; upload it again")
    size = path.stat().st_size
    if size == 0:
        raise BadInput("the file is empty; upload it again")
    if size > bytes_max:
        raise BadInput(f"the file has {size / 2**20:.0f} MiB, over the limit of {bytes_max // 2**20} MiB; export a smaller one")


def _start(request: Header, log: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {"PYTHONPATH": str(PACKAGES), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}  # none of our secrets
    child = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        start_new_session=True,
        pipesize=READ_BYTES,
    )
    try:
        with cast(IO[bytes], child.stdin) as pipe:
            pipe.write(json.dumps(request).encode())
    except BrokenPipeError:
        logger.warning("the decoder process ended before it read its request")
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group and reap the child."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(KILL_WAIT_S)
    if child.stdout is not None:
        child.stdout.close()


def _messages(child: subprocess.Popen[bytes], limits: MediaLimits, log: IO[bytes]) -> Iterator[tuple[Header, bytes]]:
    reader = _TimedReader(child, limits.decode_cpu_seconds)
    payload_max = max(limits.video_side_px**2 * 2, limits.still_pixels * 3)
    try:
        while (message := receive(reader.read, payload_max)) is not None:
            if message[0].get("kind") == "refused":
                raise BadInput(str(message[0].get("message")))
            yield message
            if message[0].get("kind") == "end":
                return
    except TimeoutError as error:
        _report(child, log, str(error))
        raise BadInput(EXHAUSTED) from error
    except WireError as error:
        raise BadInput(_epitaph(child, log, str(error))) from error
    raise BadInput(_epitaph(child, log, "ended without an answer"))


def _epitaph(child: subprocess.Popen[bytes], log: IO[bytes], what: str) -> str:
    """What to tell the user of a process that closed its output too early."""
    try:
        status = child.wait(KILL_WAIT_S)
    except subprocess.TimeoutExpired:
        status = None
    _report(child, log, what)
    return EXHAUSTED if status in (-signal.SIGXCPU, -signal.SIGKILL) else CRASHED


def _report(child: subprocess.Popen[bytes], log: IO[bytes], what: str) -> None:
    log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL_BYTES))
    logger.warning("decoder process: %s (exit status %s): %s", what, child.poll(), log.read().decode(errors="replace"))


class _TimedReader:
    """Reads exact counts of bytes from the child, for a bounded time of waiting. The time its consumer takes is not counted."""

    def __init__(self, child: subprocess.Popen[bytes], wait_max_s: float) -> None:
        self._descriptor = cast(IO[bytes], child.stdout).fileno()
        self._left_s = wait_max_s

    def read(self, count: int) -> bytes:
        """`count` bytes, fewer at the end. Raises TimeoutError when the time is used up."""
        received = bytearray()
        while len(received) < count:
            began = time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, self._left_s))
            self._left_s -= time.monotonic() - began
            if not ready:
                raise TimeoutError("no answer in time")
            block = os.read(self._descriptor, min(count - len(received), READ_BYTES))
            if not block:
                break
            received += block
        return bytes(received)
