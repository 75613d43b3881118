"""Standard output and error of a command whose reader may leave early, as `head` does."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Pipe(io.RawIOBase):
    """An open descriptor; what is written after its reader left is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return os.write(self._descriptor, data)
        except BrokenPipeError:
            return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


def outlive_readers() -> None:
    """Let this process do its work to the end and exit with its own code, however early the reader of its output leaves.

    To end there, as SIGPIPE would have it, leaves work half done; Python's own BrokenPipeError comes at any `print`, or at exit,
    where nothing can catch it.
    """
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # somebody put another stream there
        return stream
    stream.flush()
    buffer = io.BufferedWriter(_Pipe(stream.fileno()))
    # a stream that was not to wait (PYTHONUNBUFFERED) would wait in this buffer, and be lost when the process is killed
    at_once = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=at_once, write_through=stream.write_through)
