"""PROVE: before anything is signed, the watermark is read back from the encoded file and from copies of it, and the faces that
were rendered are compared with the people who agreed to be shown (misuse register A3).

A thin margin earns one stronger render; a second one fails the job. It never releases.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

from django.db import transaction

from consent import gate
from consent.faces.observed import Side
from consent.faces.survey import survey_driver
from generation import dispatch, storage
from generation.claims import Claim
from generation.errors import WeakWatermark
from generation.models import Job
from generation.release import require_releasable, require_unchanged
from generation.stages.render import CRF
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, advance, move
from media.frames import FrameStream
from media.video import read_frames, read_planes
from media.video.recompress import centre_crop, half_size, recompressed
from provenance.keys import detector_of, payload_of
from provenance.selectors import require_record
from provenance.watermark import Margin, margin_of
from provenance.watermark.self_test import REQUIRED_NATS, STRONGER, excerpts


def run(held: Claim) -> Job:
    """Read the mark back, look at the faces, hand over to the signer. Raises WeakWatermark, ConsentRefused or RecordMissing."""
    job = held.job
    require_releasable(job)
    require_unchanged(job.rendered_path, job.rendered_sha256, "rendered clip")
    margins = _margins(held)
    thin = any(margin.is_thin for margin in margins.values())
    if thin and job.watermark_strength < STRONGER:
        return _render_again(held, margins)
    if thin:
        raise WeakWatermark("The watermark stayed too weak on this material; use a longer or less compressed performance.")
    hold_reasons = _look_at_rendered_faces(held)
    with transaction.atomic():
        advanced = advance(
            job_id=job.pk,
            status=Status.SEALING,
            stage=Stage.SEAL,
            lease_token=held.token,
            self_test={**_written(margins), "strength": job.watermark_strength, "required_nats": REQUIRED_NATS},
            hold_reasons=hold_reasons,
        )
        dispatch.enqueue_after_commit(job.pk, Stage.SEAL)
    return advanced


def _margins(held: Claim) -> dict[str, Margin]:
    job = held.job
    record = require_record(job.pk)
    rate = Fraction(job.render_facts["frame_rate"])
    parts = excerpts(job.render_facts["frames"], rate)
    copies = _copies(lambda: _excerpts(storage.resolve(job.rendered_path), parts), rate)
    # no list of issued ids: the mark must be strong enough for a free decode, as a stranger with the key would do
    detector = detector_of(record, freely=True)
    return {name: margin_of(detector.detect(_checked(held, copy())), payload_of(record)) for name, copy in copies.items()}


def _copies(source: Callable[[], FrameStream], rate: Fraction) -> dict[str, Callable[[], FrameStream]]:
    """What the mark must survive: the file itself, and three things that happen to it on its way through the world."""
    return {
        f"as encoded (CRF {CRF})": source,
        "CRF 28": lambda: recompressed(source(), frame_rate=rate, crf=28),
        "half size": lambda: recompressed(source(), frame_rate=rate, crf=23, transform=half_size),
        "crop 90%": lambda: recompressed(source(), frame_rate=rate, crf=23, transform=centre_crop),
    }


def _excerpts(path: Path, parts: list[tuple[int, int]]) -> FrameStream:
    """Stretches of a clip, (first frame, number of frames) each, one after the other."""
    for start, wanted in parts:
        yield from islice(read_planes(path, batch_size=1, start_frame=start), wanted)


def _written(margins: dict[str, Margin]) -> dict[str, dict[str, float]]:
    """Margins as they are kept with the job and its record."""
    return {
        "margins_nats": {name: margin.nats for name, margin in margins.items()},
        "margins_db": {name: margin.db for name, margin in margins.items()},
        "marked_share": {name: margin.marked_share for name, margin in margins.items()},
    }


def _checked(held: Claim, batches: FrameStream) -> FrameStream:
    for batch in batches:
        held.check()
        yield batch


def _render_again(held: Claim, margins: dict[str, Margin]) -> Job:
    with transaction.atomic():
        moved = move(
            job_id=held.job.pk,
            source=Status.SEALING,
            target=Status.RENDERING,
            actor=SYSTEM_ACTOR,
            lease_token=held.token,
            stage=Stage.RENDER,
            watermark_strength=STRONGER,
            frames_done=0,
            self_test={"first_margins_nats": _written(margins)["margins_nats"]},
            detail={"margins_nats": _written(margins)["margins_nats"], "next_strength": STRONGER},
        )
        dispatch.enqueue_after_commit(held.job.pk, Stage.RENDER)
    return moved


def _look_at_rendered_faces(held: Claim) -> list[dict[str, str | None]]:
    """Reasons to hold the clip for a person. Raises ConsentRefused when a frame shows anybody but those cleared as depicted."""
    job = held.job
    rendered = survey_driver(
        _checked(held, read_frames(storage.resolve(job.rendered_path))),
        frame_rate=Fraction(job.render_facts["frame_rate"]),
        engine=gate.face_engine(),
        side=Side.RENDERED,
    )
    return gate.require_same_faces(decision_snapshot=job.decision or {}, observed=rendered.faces)
