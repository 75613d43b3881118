"""Reads for pages and API: people and consents of one studio, and what a record page may say."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from consent.models import Consent, Person
from generation.casting import LEAD, SOURCE
from generation.models import Job
from generation.states import Status
from generation.verification import standing
from portal.public_answer import public_record
from portal.wording import face_label
from provenance.models import Record
from provenance.selectors import record_by_watermark_id, record_view
from users.models import Studio

EVER_RELEASED = (Status.RELEASED, Status.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class ConsentOfFace:
    """Which person's consent a job rests on for one face, as it stands now."""

    face: str
    consent: Consent

    @property
    def label(self) -> str:
        """Which face, in words."""
        return face_label(self.face)


@dataclass(frozen=True, slots=True)
class NamesOfJob:
    """The people of a job by name; empty where no consent was found for them."""

    depicted: str = ""
    performer: str = ""


def people_of(studio: Studio) -> QuerySet[Person]:
    """The people a studio knows, by name, with their consents."""
    return Person.objects.filter(studio=studio).prefetch_related("consents").order_by("display_name", "created_at")


def person_of(studio: Studio, person_id: uuid.UUID) -> Person | None:
    """One person of a studio, or None."""
    return people_of(studio).filter(pk=person_id).first()


def consents_of(studio: Studio) -> QuerySet[Consent]:
    """The consents a studio holds, newest first, with their people."""
    return Consent.objects.filter(studio=studio).select_related("person").order_by("-requested_at")


def consent_of(studio: Studio, consent_id: uuid.UUID) -> Consent | None:
    """One consent of a studio, or None."""
    return consents_of(studio).filter(pk=consent_id).first()


def consents_of_job(job: Job) -> list[ConsentOfFace]:
    """The consents a job names, face by face; a name that is no consent of its studio is left out."""
    wanted = _ids(job.named_consents)
    found = {consent.pk: consent for consent in consents_of(job.studio).filter(pk__in=wanted.values())}
    return [ConsentOfFace(face, found[consent_id]) for face, consent_id in sorted(wanted.items()) if consent_id in found]


def names_of_jobs(jobs: Sequence[Job]) -> dict[uuid.UUID, NamesOfJob]:
    """Who is seen in each job and who performs, as far as their consents are known. jobs: of one studio."""
    wanted = {job.pk: _ids(job.named_consents) for job in jobs}
    ids = {consent_id for named in wanted.values() for consent_id in named.values()}
    rows = Consent.objects.filter(pk__in=ids, studio__in={job.studio_id for job in jobs}).select_related("person")
    people = {consent.pk: consent.person.display_name for consent in rows}
    return {job_id: NamesOfJob(_listed(named, people, SOURCE), _listed(named, people, LEAD)) for job_id, named in wanted.items()}


def _listed(named: Mapping[str, uuid.UUID], people: Mapping[uuid.UUID, str], side: str) -> str:
    """The people on one side of a job, each once, in the order of their faces."""
    names = [people[consent_id] for face, consent_id in sorted(named.items()) if face.startswith(side) and consent_id in people]
    return " and ".join(dict.fromkeys(names))


def _ids(named: Mapping[str, str]) -> dict[str, uuid.UUID]:
    ids = {}
    for face, value in named.items():
        try:
            ids[face] = uuid.UUID(value)
        except ValueError:
            continue
    return ids


def record_behind(watermark_id: str) -> dict[str, Any] | None:
    """What anybody may know of the clip behind a watermark id, or None. Clips that were never released read like none."""
    record = record_by_watermark_id(watermark_id)
    if (
        record is None
        or record.kind != Record.Kind.OUTPUT
        or not Job.objects.filter(pk=record.job_id, status__in=EVER_RELEASED).exists()
    ):
        return None
    view = record_view(record)
    facts = {
        "created": view.created_at.isoformat(),
        "system": f"{view.system} {view.system_version}",
        "studio": view.studio_public_name,
        "watermark_id": view.watermark_id,
        **standing(record.job_id),
    }
    return {"watermark_id": view.watermark_id, "manifest_id": view.manifest_id, "record": public_record(facts)}
