"""Enrolment by a studio that attests a person's consent: for tests, never in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from torch import Tensor

from consent import selectors, services
from consent.errors import EnrolmentRefused, UnusablePhoto
from consent.faces.engine import Embedding, FaceEngine
from consent.faces.finding import Finder
from consent.faces.observed import ObservedFace
from consent.faces.survey import survey_still
from consent.gate import face_engine
from consent.models import Consent, Person
from consent.policy import ATTESTED_PURPOSES, Assurance
from consent.services import NOTICE_VERSION, Scope
from users.models import Studio

ATTESTED_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Photo:
    """One enrolment photo: uint8 RGB (H, W, 3), and the same without its transparency, if it had any."""

    rgb: Tensor
    under_alpha: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment made. template_quality: 0..1."""

    person: Person
    consent: Consent
    template_quality: float


def enroll_person(
    *,
    studio: Studio,
    name: str,
    photos: Sequence[Photo],
    scope: Scope,
    actor: str,
    engine: FaceEngine | None = None,
    finder: Finder | None = None,
) -> Enrolment:
    """Enrol a person whose consent a studio attests, and give that consent.

    A person of the same name and face keeps their identity and gets a new consent beside the old ones.
    Raises EnrolmentRefused (production, or another purpose than internal_test), InvalidScope, UnusablePhoto.
    """
    if not settings.DEVELOPMENT:
        raise EnrolmentRefused("Attested consents are not accepted in production; ask the person for consent by a link.")
    if scope.purposes - ATTESTED_PURPOSES:
        raise EnrolmentRefused("An attested consent covers internal_test only; ask the person for consent by a link.")
    services.check_scope(scope, Assurance.ATTESTED)
    matcher = engine or face_engine()
    embedding, quality = template_from(photos, matcher, finder)
    with transaction.atomic():
        person = _known(studio, name, embedding, matcher) or Person.objects.create(studio=studio, display_name=name)
        services.keep_template(
            person=person,
            engine_id=matcher.model.id,
            embedding=embedding,
            quality=quality,
            assurance=Assurance.ATTESTED,
            destroy_by=max(scope.valid_until, timezone.now() + ATTESTED_FOR),
        )
        consent = services.request_consent(
            person=person, scope=scope, assurance=Assurance.ATTESTED, actor=actor, notice_version=NOTICE_VERSION
        )
        consent = services.give_consent(consent_id=consent.id, actor=actor, detail={"assurance": "attested"})
    return Enrolment(person, consent, quality)


def template_from(photos: Sequence[Photo], engine: FaceEngine, finder: Finder | None = None) -> tuple[Embedding, float]:
    """Return the mean embedding of photos of one person, and its quality 0..1. Raises UnusablePhoto."""
    if not photos:
        raise UnusablePhoto("No photo was given; give one that shows the person's face.")
    faces = [_only_face(photo, number, engine, finder) for number, photo in enumerate(photos, start=1)]
    embeddings = [face.embedding for face in faces if face.embedding is not None]
    mean = np.mean(embeddings, axis=0)
    if any(engine.distance(mean, embedding) > engine.model.thresholds.match for embedding in embeddings):
        raise UnusablePhoto("The photos do not show one and the same person; give photos of one person.")
    return mean, float(np.mean([face.quality for face in faces]))


def _only_face(photo: Photo, number: int, engine: FaceEngine, finder: Finder | None) -> ObservedFace:
    faces = survey_still(photo.rgb, photo.under_alpha, engine=engine, finder=finder)
    if len(faces) != 1:
        seen = f"{len(faces)} faces" if faces else "no face"
        raise UnusablePhoto(f"Photo {number} shows {seen}; give one that shows exactly one.")
    if faces[0].hidden or faces[0].embedding is None:
        note = faces[0].note or "hidden under transparency"
        raise UnusablePhoto(f"The face of photo {number} cannot be used ({note}); give a clear, plain photo from the front.")
    return faces[0]


def _known(studio: Studio, name: str, embedding: Embedding, engine: FaceEngine) -> Person | None:
    """The studio's person of this name whose attested template matches, if there is one."""
    now = timezone.now()
    for person in Person.objects.filter(studio=studio, display_name=name).order_by("created_at"):
        template = selectors.template_for(person_id=person.id, engine_id=engine.model.id, at_least=Assurance.ATTESTED, now=now)
        if template is None:
            continue
        if engine.distance(selectors.open_template(template), embedding) <= engine.model.thresholds.match:
            return person
    return None
