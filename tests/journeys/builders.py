"""What the journeys share: real pictures and clips, people who agreed, and the pipeline driven stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image

from consent import services as consent_services
from consent.faces.engine import Embedding
from consent.gate import face_engine
from consent.models import Consent, Person
from consent.policy import WORLD, Assurance, Role
from consent.services import Scope
from generation import pipeline, services, storage
from generation.demo.material import write_material
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.states import FINAL, PARKED, Stage, Status
from media.frames import FrameBatch
from media.video import VideoWriter, read_frames
from provenance.models import Record
from users.models import Studio

Picture = NDArray[np.uint8]
FRAME_RATE = Fraction(30000, 1001)


@dataclass(frozen=True, slots=True)
class People:
    """Inputs on disk, and the face templates of the two people in them.

    portrait: an astronaut, 512 x 512. driving: a talking man, 704 x 576, 12 frames; longer_driving: the same, 60 frames.
    """

    portrait: Path
    driving: Path
    longer_driving: Path
    depicted_photos: tuple[Path, ...]
    performer_photos: tuple[Path, ...]
    unrelated_clip: Path
    depicted: Embedding
    performer: Embedding


def frames_of(path: Path) -> list[Picture]:
    """Every frame of a clip, uint8 RGB (H, W, 3)."""
    return [frame.copy() for batch in read_frames(path) for frame in batch.rgb.numpy()]


def picture_of(path: Path) -> Picture:
    """A picture file, uint8 RGB (H, W, 3)."""
    return np.array(Image.open(path).convert("RGB"))


def write_picture(path: Path, picture: Picture) -> Path:
    Image.fromarray(picture).save(path)
    return path


def write_frames(path: Path, frames: Iterable[Picture], rate: Fraction = FRAME_RATE) -> Path:
    """Encode frames of one size as a clip, nearly lossless."""
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    with VideoWriter(path, width=width, height=height, frame_rate=rate, crf=10, preset="ultrafast") as writer:
        for index, picture in enumerate(pictures):
            moment = torch.tensor([float(index / rate)], dtype=torch.float64)
            writer.write(FrameBatch(pixels=torch.from_numpy(np.ascontiguousarray(picture))[None], timestamps_s=moment))
    return path


def pasted(picture: Picture, piece: Picture, x: int, y: int) -> Picture:
    """A picture with a piece laid over it, its upper left corner at (x, y)."""
    result = picture.copy()
    result[y : y + piece.shape[0], x : x + piece.shape[1]] = piece
    return result


def resized(picture: Picture, width: int, height: int) -> Picture:
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def enrol(
    studio: Studio,
    face: Embedding,
    role: Role,
    *,
    name: str = "Ada",
    purposes: Sequence[str] = ("internal_test",),
    territories: Sequence[str] = (WORLD,),
    assurance: Assurance = Assurance.ATTESTED,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    voice: bool = False,
) -> Consent:
    """A person of `studio` with this face, who gave a consent. By default it began a moment ago and ends in a day."""
    now = timezone.now()
    scope = Scope(
        role=role,
        purposes=frozenset(purposes),
        territories=frozenset(territories),
        valid_from=valid_from or now - timedelta(minutes=1),
        valid_until=valid_until or now + timedelta(days=1),
        voice=voice,
    )
    person = Person.objects.create(studio=studio, display_name=name)
    consent_services.keep_template(
        person=person,
        engine_id=face_engine().model.id,
        embedding=face,
        quality=0.9,
        assurance=assurance,
        destroy_by=now + timedelta(days=90),
    )
    consent = consent_services.request_consent(
        person=person, scope=scope, assurance=assurance, actor="system:test", notice_version="attested-1"
    )
    return consent_services.give_consent(consent_id=consent.pk, actor="system:test")


def enrol_both(studio: Studio, people: People) -> dict[str, Consent]:
    """Both people of the usual job, each with the consent of their part: {"portrait:1": ..., "driver:1": ...}."""
    return {
        "portrait:1": enrol(studio, people.depicted, Role.DEPICTED, name="Ada, depicted"),
        "driver:1": enrol(studio, people.performer, Role.PERFORMER, name="Ben, performer"),
    }


def enrol_expired(studio: Studio, face: Embedding, role: Role) -> Consent:
    """A consent whose period is over."""
    now = timezone.now()
    return enrol(studio, face, role, valid_from=now - timedelta(days=2), valid_until=now - timedelta(hours=1))


def upload(studio: Studio, kind: str, path: Path) -> Asset:
    return services.create_asset(
        studio=studio, kind=kind, file_name=path.name, chunks=services.read_chunks(path), actor="system:test"
    )


def submit(
    studio: Studio,
    *,
    portrait: Path,
    driving: Path,
    consents: Mapping[str, Consent] | None = None,
    request: JobRequest | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Queue a job as a studio does. consents: by face; faces left out get the consent that the preflight proposes."""
    asked = request or JobRequest(purpose="internal_test", engine="mesh")
    named = {face: str(consent.pk) for face, consent in (consents or {}).items()}
    return services.submit(
        studio=studio,
        portrait=upload(studio, Asset.Kind.STILL, portrait),
        driving=upload(studio, Asset.Kind.VIDEO, driving),
        request=replace(asked, named_consents={**asked.named_consents, **named}),
        idempotency_key=idempotency_key,
        actor="system:test",
    )


def run_stages(job: Job, *, before: Stage | None = None) -> Job:
    """Do a job's stages in this process until it has ended or is parked, or until stage `before` is next.

    Needs the fixture `in_process`.
    """
    job.refresh_from_db()
    while job.status not in FINAL | PARKED and job.stage != before:
        standing = (job.status, job.stage, job.attempt)
        pipeline.run_stage(stage=Stage(job.stage), job_id=job.pk)
        job.refresh_from_db()
        assert (job.status, job.stage, job.attempt) != standing, f"the job is stuck: {standing}"
    return job


def rendered_files(job: Job) -> list[Path]:
    """Every picture or clip that was made for a job and rests on disk."""
    root = storage.store_root()
    folders = [root / kind / str(job.pk) for kind in ("work", "outputs")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def assert_nothing_was_made(job: Job) -> None:
    """No file, no record of a watermark, no motion kept, and the job says that it never rendered."""
    assert rendered_files(job) == []
    assert not (storage.store_root() / "motion" / str(job.pk)).exists()
    assert not Record.objects.filter(job_id=job.pk).exists()
    assert (job.rendered_path, job.output_path, job.manifest_id) == ("", "", "")
    assert job.frames_done == 0


def assert_refused(job: Job, code: str, face: str | None) -> str:
    """The job was refused for this face with this code and a fix, and nothing was made. Returns the message."""
    assert job.status == Status.REFUSED, (job.status, job.reasons)
    reasons = [reason for reason in job.reasons if (reason["code"], reason["face"]) == (code, face)]
    assert reasons, job.reasons
    message = str(reasons[0]["message"])
    assert face is None or face in message or face.startswith("driver:stream"), message
    assert message.count(".") >= 1, message
    assert_nothing_was_made(job)
    return message


def make_people(folder: Path) -> tuple[Path, Path, Path, tuple[Path, ...], tuple[Path, ...], Path]:
    """Write the inputs of `People`: portrait, short and longer driver, photos of both, and a clip of somebody else."""
    inputs = write_material(folder, frames=60)
    short = write_frames(folder / "short.mp4", frames_of(inputs.driving)[:12])
    return (
        inputs.portrait,
        short,
        inputs.driving,
        inputs.depicted_photos,
        inputs.performer_photos,
        inputs.unrelated_clip,
    )
