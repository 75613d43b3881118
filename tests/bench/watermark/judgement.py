"""What the product says of clips that carry a stolen mark, and of outputs whose mark was taken off. A JSON line last.

The clips and their sources are those that `tests.bench.watermark.transplants` wrote to F. The sources stand in the records, with
their fingerprints, as after a release; then each clip is examined as `verify` does it. A forgery may be `transplanted`, `altered`
or `unknown`, and never `confirmed` or `recovered`. Taken off: the same performance without a mark, which is what subtracting the
whole change of a known cover leaves.

Run: `./dev manage shell -c "from tests.bench.watermark.judgement import main; main(['--folder', 'F'])"`.
"""

from __future__ import annotations

import argparse
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from django.test.utils import override_settings

from media.limits import MediaLimits
from media.video import read_planes
from provenance.examine import examine
from provenance.fingerprint.index import sketch
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter
from provenance.fingerprint_index import add_to_index
from provenance.models import WatermarkKey
from provenance.watermark import derive_key
from tests.bench import watermark_clips as clips
from tests.bench.fingerprint.records import database, sealed_record
from tests.bench.watermark.methods import KEY_NAME, MASTER
from tests.bench.watermark.transplants import SECONDS, save

BELIEVED = frozenset({"confirmed", "recovered"})
REMOVED = {"as it was": (23, 1.0), "weaker": (30, 1.0), "half the size": (26, 0.5)}


class BenchKeys:
    """The keys of the benchmark in place of the platform's."""

    def derive(self, name: str) -> bytes:
        """As `provenance.keys.KeySource`."""
        return derive_key(MASTER, name)


def fingerprint_of(path: Path) -> VideoFingerprint:
    """Of a whole file."""
    fingerprinter = VideoFingerprinter()
    for batch in read_planes(path):
        fingerprinter.update(batch)
    return fingerprinter.finish()


def release(path: Path, watermark_id: str) -> None:
    """A sealed record of a marked file, in the index."""
    fingerprint = fingerprint_of(path)
    record = sealed_record(uuid.uuid4(), fingerprint.to_bytes())
    record.watermark_id, record.key_name, record.scheme, record.sketch = watermark_id, KEY_NAME, 2, sketch(fingerprint)
    record.save(force_insert=True)
    add_to_index(record=record, fingerprint=fingerprint)


def judged(path: Path) -> dict[str, Any]:
    """Verdict and reasons."""
    body = examine(path, limits=MediaLimits()).as_json()
    return {"verdict": body["verdict"], "reasons": body["reasons"], "picture": body["signals"]["fingerprint"]}


def forgeries(folder: Path, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The product's word on every forged clip."""
    with database():
        WatermarkKey.objects.create(name=KEY_NAME, scheme=2, studio_id=uuid.UUID(int=7), month="2026-11")
        for file, watermark_id in told["sources"].items():
            release(folder / file, watermark_id)
        rows = []
        for clip in told["clips"]:
            rows.append({"file": clip["file"], "known_still": clip["known_still"], **judged(folder / clip["file"])})
            print(rows[-1], flush=True)
    return rows


def removals(folder: Path, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The product's word on one output without its mark, in three encodings; the other outputs show the same, so none is kept."""
    file, watermark_id = next(iter(told["sources"].items()))
    cover = clips.portrait(SECONDS)
    with database():
        WatermarkKey.objects.create(name=KEY_NAME, scheme=2, studio_id=uuid.UUID(int=7), month="2026-11")
        release(folder / file, watermark_id)
        rows = []
        for number, (name, (crf, size)) in enumerate(REMOVED.items()):
            path = folder / "removed" / f"{number}.mp4"
            save(cover if size == 1.0 else clips.resized(cover, size), path, crf)
            rows.append({"removed": name, **judged(path)})
            print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    told = json.loads((options.folder / "transplants.json").read_text())
    with override_settings(WATERMARK_KEY_SOURCE=f"{__name__}.BenchKeys"):
        forged, removed = forgeries(options.folder, told), removals(options.folder, told)
    print(
        json.dumps(
            {
                "forgeries": len(forged),
                "believed": sum(row["verdict"] in BELIEVED for row in forged),
                "verdicts": {
                    f"{'one output' if known else 'averaged'}: {verdict}": count
                    for (known, verdict), count in Counter((row["known_still"], row["verdict"]) for row in forged).items()
                },
                "removed": removed,
            }
        )
    )
