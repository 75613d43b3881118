"""Examines a file that somebody dropped, gives the public answer, and keeps nothing of the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from generation.verification import verify_file
from media.errors import BadInput, CountersignError
from media.video import probe
from portal.body_limits import TooLarge
from portal.public_answer import public_answer
from provenance.stills import is_still

INSTEAD = "cut out the part in question, or use the command line, which takes files of any length."


class Busy(CountersignError):
    """As many files are examined as this process may."""

    code = "busy"
    permanent = False


class _Seats:
    """Counts the examinations of this process; the number allowed is read each time."""

    def __init__(self) -> None:
        self._lock, self._taken = Lock(), 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one while the block runs. Raises Busy at once instead of letting visitors queue in memory."""
        with self._lock:
            if self._taken >= settings.REQUEST_LIMITS.verify_at_once:
                raise Busy("Other files are being examined; try again in a minute.")
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1


SEATS = _Seats()


def examine_upload(upload: UploadedFile[bytes] | None) -> dict[str, Any]:
    """The public answer about an upload; the copy that was examined is deleted before this returns.

    Raises BadInput, TooLarge or Busy.
    """
    if upload is None or not upload.size:
        raise BadInput("No file arrived, or an empty one; choose a video or a picture.")
    limit_bytes = settings.REQUEST_LIMITS.verify_inline_bytes
    if upload.size > limit_bytes:
        raise TooLarge(f"The file is larger than {limit_bytes // 2**20} MB; {INSTEAD}")
    with SEATS.one(), tempfile.TemporaryDirectory(prefix="verify-") as folder:
        copy = Path(folder) / "file"  # the sender's file name is never used
        _write(copy, upload.chunks())
        _require_affordable(copy)
        return public_answer(verify_file(copy))


def _require_affordable(path: Path) -> None:
    """Raise TooLarge when decoding a video would take more work than a visitor may ask for at once; stills have one limit."""
    if is_still(path):
        return
    info = probe(path, limits=settings.MEDIA_LIMITS, tolerant=True)
    frames = max(info.frame_count, round(info.duration_s * float(info.frame_rate)))
    budget = settings.REQUEST_LIMITS.verify_inline_pixels
    pixels = max(info.width * info.height, info.coded_width * info.coded_height)
    if pixels * frames > budget:
        raise TooLarge(f"At {info.width}x{info.height} at most {budget // pixels} frames are examined here; {INSTEAD}")


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
