"""Stills are examined too: they are no video, and need not pass as one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from media.errors import BadInput
from portal import examination
from provenance.stills import is_still

ANSWER: dict[str, Any] = {"verdict": "unknown", "reasons": [], "record": None, "records": [], "signals": {}, "timeline": []}


def picture(form: str) -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 60)).save(out, form)
    return SimpleUploadedFile("whatever.bin", out.getvalue())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_reaches_the_examination(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def examined(path: Path) -> dict[str, Any]:
        seen.append(is_still(path))
        return ANSWER

    monkeypatch.setattr(examination, "verify_file", examined)
    answer = examination.examine_upload(picture(form))
    assert (answer["verdict"], answer["timeline"], seen) == ("unknown", [], [True])


def test_what_is_neither_picture_nor_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        examination.examine_upload(SimpleUploadedFile("a.jpg", b"not a picture, whatever its name says"))
