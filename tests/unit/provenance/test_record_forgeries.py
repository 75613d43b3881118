"""What somebody builds from our public ids, labels and marks gets no verdict that vouches for it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image
from provenance_samples import manifest_inputs, performance
from released_outputs import IDS, KEY_NAMES, SECONDS, Output, look, weigh

from media.errors import BadInput
from provenance import stills
from provenance.credentials import pki, sign
from provenance.credentials.manifest import manifest_definition
from provenance.models import Record, WatermarkKey
from provenance.pieces import MOST_STRETCHES, stretches
from provenance.selectors import record_of_mark
from provenance.services import end_keys
from provenance.signals import FoundMark
from provenance.verify import Verdict

pytestmark = pytest.mark.django_db


def signed_by_a_stranger(clip: Path, folder: Path, *, label: str) -> Path:
    """The clip with a manifest under a certificate of one's own, which says of itself that it is one of ours."""
    definition = manifest_definition(manifest_inputs()) | {"label": label}
    stranger = pki.development_signer(folder / "pki")
    destination = folder / "signed.mp4"
    with (
        c2pa.Context.from_dict(sign._signing_settings(stranger)) as context,
        c2pa.Signer.from_callback(stranger.sign, c2pa.C2paSigningAlg.ES256, stranger.chain_pem, None) as native,
        c2pa.Builder(json.dumps(definition), context) as builder,
        clip.open("rb") as source,
        destination.open("w+b") as target,
    ):
        builder.sign(native, "video/mp4", source, target)
    return destination


def test_a_strangers_manifest_with_our_label_does_not_choose_the_record(released: dict[str, Output], tmp_path: Path) -> None:
    label = str(Record.objects.get(watermark_id=IDS["b"]).manifest_id)
    signed = signed_by_a_stranger(released["a"].rendered, tmp_path, label=label)
    frames = performance(driver=1, seconds=SECONDS, height=384, width=512)
    found = weigh(frames, sound_number=1, watermark_id=None, signed=signed)
    assert found.verdict is Verdict.ALTERED
    assert "marks_removed" in found.reasons
    assert found.record is not None
    assert found.record.watermark_id == IDS["a"]


def test_a_mark_counts_only_under_the_key_of_its_record(released: dict[str, Output]) -> None:
    assert record_of_mark(IDS["a"], KEY_NAMES[2]) == Record.objects.get(watermark_id=IDS["a"])
    assert record_of_mark(IDS["a"], f"{uuid.UUID(int=99)}/2026-01/preview/scheme-2") is None
    assert record_of_mark(IDS["a"], None) is None


def test_two_ids_under_a_compromised_key_tie_no_foreign_video_to_us(released: dict[str, Output]) -> None:
    end_keys(names=[KEY_NAMES[2]], state=WatermarkKey.State.COMPROMISED, actor="system:test", reason="a leak")
    frames = performance(portrait=40, driver=40, seconds=6, height=384, width=512)
    found = weigh(frames, sound_number=9, watermark_id=(IDS["a"], IDS["b"]))
    assert found.verdict is Verdict.UNKNOWN
    assert found.record is None


def test_a_picture_that_looks_different_on_every_ground_is_not_judged(tmp_path: Path) -> None:
    picture = np.full((200, 300, 4), 200, np.uint8)
    picture[50:100, 50:100, 3] = 40
    Image.fromarray(picture).save(tmp_path / "see-through.png")
    with pytest.raises(BadInput, match="transparent"):
        look(tmp_path / "see-through.png")


def test_a_picture_too_large_to_search_is_refused_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stills, "LARGEST_SIDE_PX", 299)
    Image.new("RGB", (300, 200)).save(tmp_path / "large.png")
    with pytest.raises(BadInput, match="300x200"):
        look(tmp_path / "large.png")


def test_marks_that_change_all_the_time_are_not_all_looked_up() -> None:
    marks = [FoundMark(f"{n:016x}", "key", "2", 1e-12, ((float(n), n + 1.0 + n / 100),)) for n in range(100)]
    found = stretches(marks)
    assert len(found) == MOST_STRETCHES
    assert found[0][0] == 100 - MOST_STRETCHES
    assert found == sorted(found, key=lambda stretch: stretch[0])
