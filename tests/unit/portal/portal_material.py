"""A studio with something of everything: uploads, a person with a consent, and a released clip whose consents really stand."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta

import torch
from django.urls import reverse
from django.utils import timezone

from consent.faces.observed import Side
from consent.models import Consent, Person
from consent.policy import Assurance, Decision, FaceDecision, Outcome, Request, Role, Verdict
from consent.services import Scope, give_consent, request_consent
from consent.snapshots import Snapshot
from generation import storage
from generation.cleared import bindings_of
from generation.engines.base import Options
from generation.models import Asset, Job
from generation.states import Stage, Status
from provenance.models import Record
from provenance.services import reserve_record
from users.models import Studio

CLIP = bytes(range(256)) * 40


@dataclass(frozen=True)
class World:
    """One studio's things."""

    studio: Studio
    portrait: Asset
    driving: Asset
    person: Person
    consent: Consent
    job: Job
    record: Record


def make_asset(studio: Studio, kind: str, content: bytes = b"pixels") -> Asset:
    asset = Asset(studio=studio, kind=kind, file_name=f"{kind}.bin", upload_path="uploads/none", upload_bytes=len(content))
    path = storage.normalised_file(asset.pk, ".png" if kind == Asset.Kind.STILL else ".mp4")
    path.write_bytes(content)
    asset.upload_sha256 = asset.normalised_sha256 = hashlib.sha256(content).hexdigest()
    asset.normalised_path = storage.relative(path)
    asset.facts = {} if kind == Asset.Kind.STILL else {"frame_rate": "24", "frames": 96, "width": 64, "height": 64}
    asset.save()
    return asset


def make_consent(studio: Studio) -> Consent:
    now = timezone.now()
    person = Person.objects.create(studio=studio, display_name=f"Person of {studio.slug}")
    scope = Scope(Role.BOTH, frozenset({"internal_test"}), frozenset({"001"}), now - timedelta(days=1), now + timedelta(days=90))
    asked = request_consent(person=person, scope=scope, assurance=Assurance.ATTESTED, actor="system", notice_version="1")
    return give_consent(consent_id=asked.pk, actor="system")


def make_job(studio: Studio, portrait: Asset, driving: Asset, status: str = Status.SUBMITTED, **fields: object) -> Job:
    return Job.objects.create(
        studio=studio,
        idempotency_key=uuid.uuid4().hex,
        request_sha256="0" * 64,
        portrait=portrait,
        driving=driving,
        purpose="internal_test",
        engine="mesh",
        status=status,
        **fields,
    )


def make_cleared_job(world: World, **fields: object) -> Job:
    """A job whose settings can be tried: its inputs, its motion and its consents stand."""
    job_id = uuid.uuid4()
    motion = storage.motion_file(job_id, 1)
    motion.write_bytes(b"tracks")
    return make_job(
        world.studio,
        world.portrait,
        world.driving,
        id=job_id,
        stage=Stage.RENDER,
        decision=world.job.decision,
        named_consents=world.job.named_consents,
        motion_sha256=hashlib.sha256(b"tracks").hexdigest(),
        render_facts={"motion_path": storage.relative(motion), "portrait_boxes": {}, "cast": []},
        frames_total=96,
        **{"status": Status.CLEARED, **fields},
    )


class GreyRenderer:
    """Stands where previews are rendered. The picture shows nothing; what is done to it afterwards is real."""

    def __init__(self) -> None:
        self.asked: list[tuple[Options, float]] = []

    def frame(self, key: object, scene: object, options: Options, at_s: float) -> torch.Tensor:
        self.asked.append((options, at_s))
        return torch.full((160, 256, 3), 128, dtype=torch.uint8)


def make_world(studio: Studio) -> World:
    portrait, driving = make_asset(studio, Asset.Kind.STILL), make_asset(studio, Asset.Kind.VIDEO, b"moving pixels")
    consent = make_consent(studio)
    faces = tuple(FaceDecision(f"{side}:1", side, Outcome.COVERED, consent.pk) for side in (Side.PORTRAIT, Side.DRIVER))
    snapshot = Snapshot.of(
        Decision(Verdict.ALLOW, faces, ()),
        Request(studio.pk, "internal_test"),
        bindings_of({"portrait": portrait, "driver": driving}, cast=[], boxes={}),
        "flat@1",
        timezone.now(),
    )
    job_id = uuid.uuid4()
    record = reserve_record(job_id=job_id, studio_id=studio.pk, system="Countersign", system_version="1")
    output = storage.output_file(job_id, 1)
    output.write_bytes(CLIP)
    job = make_job(
        studio,
        portrait,
        driving,
        Status.RELEASED,
        id=job_id,
        stage=Stage.SEAL,
        decision=snapshot.to_json(),
        named_consents={face.face: str(consent.pk) for face in faces},
        watermark_id=record.watermark_id,
        manifest_id="urn:c2pa:test",
        output_path=storage.relative(output),
        output_sha256=hashlib.sha256(CLIP).hexdigest(),
        render_facts={"engine_version": "1", "frames": 24, "seconds": 0.8, "width": 512, "height": 512},
        finished_at=timezone.now(),
    )
    return World(studio, portrait, driving, consent.person, consent, job, record)


def page_of(name: str, job: Job) -> str:
    """The page of that name about a job."""
    return reverse(name, args=[job.studio.slug, job.pk])
