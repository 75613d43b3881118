"""Examines a file that somebody dropped, gives the public answer, and keeps nothing of the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from generation.verification import verify_file
from media.errors import BadInput, CountersignError
from portal.public_answer import public_answer


class TooLarge(CountersignError):
    """A file over the limit of what is examined while the visitor waits."""

    code = "too_large"


def examine_upload(upload: UploadedFile[bytes] | None) -> dict[str, Any]:
    """The public answer about an upload; the copy that was examined is deleted before this returns.

    Raises BadInput or TooLarge.
    """
    if upload is None or not upload.size:
        raise BadInput("No file arrived, or an empty one; choose a video file.")
    limit_bytes = settings.REQUEST_LIMITS.verify_inline_bytes
    if upload.size > limit_bytes:
        raise TooLarge(
            f"The file is larger than {limit_bytes // 2**20} MB; cut out the part in question, "
            "or use the command line, which takes files of any length."
        )
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        copy = Path(folder) / "file"  # the sender's file name is never used
        _write(copy, upload.chunks())
        return public_answer(verify_file(copy))


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
