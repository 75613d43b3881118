"""Writes: consents move, templates are kept and destroyed. Each change is one transaction with its event and its message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.utils import timezone

from audit.services import publish, record_event
from consent.chain import event_hash
from consent.errors import InvalidScope, TransitionRefused, UnknownConsent
from consent.faces.engine import Embedding
from consent.models import Consent, ConsentEvent, FaceTemplate, Person, PersonKey
from consent.policy import ATTESTED_PURPOSES, MOVES, PURPOSES, WORLD, Assurance, Role, State
from consent.sealing import new_data_key, seal, template_of, wrapping_of
from consent.selectors import data_key, hashed_fields
from settings.keys import template_master_key

TEMPLATE_YEARS = timedelta(days=3 * 365)  # 740 ILCS 14/15 (BIPA): at the latest three years after the last interaction
GRACE_AFTER_WITHDRAWAL = timedelta(days=30)  # a withdrawal by a leaked link can be answered before anything is destroyed
ENDS = frozenset({State.WITHDRAWN, State.EXPIRED, State.TERMINATED, State.DECLINED})
STOPS_JOBS = frozenset({State.SUSPENDED, State.WITHDRAWN, State.EXPIRED, State.TERMINATED})
NOTICE_VERSION = "attested-1"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is agreed to. `territories` are ISO 3166-1 alpha-2 codes, or "001" for the world. valid_until is exclusive."""

    role: Role
    purposes: frozenset[str]
    territories: frozenset[str]
    valid_from: datetime
    valid_until: datetime
    voice: bool = False
    intended_use: str = ""
    exclusions: tuple[str, ...] = ()


def check_scope(scope: Scope, assurance: Assurance) -> None:
    """Raise InvalidScope when a scope is empty, unknown or wider than its assurance allows."""
    if not scope.purposes or scope.purposes - PURPOSES:
        raise InvalidScope(f"A consent needs known purposes; choose among {', '.join(sorted(PURPOSES))}.")
    if assurance is Assurance.ATTESTED and scope.purposes - ATTESTED_PURPOSES:
        raise InvalidScope("An attested consent covers internal_test only; ask the person for a consent of their own.")
    if not scope.territories or not all(_is_territory(code) for code in scope.territories):
        raise InvalidScope("A consent needs territories; give two capital letters each (ISO 3166-1), or 001 for the world.")
    if scope.valid_from >= scope.valid_until:
        raise InvalidScope("A consent must end after it begins; give a later end.")


def _is_territory(code: str) -> bool:
    return code == WORLD or (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper())


@transaction.atomic
def request_consent(*, person: Person, scope: Scope, assurance: Assurance, actor: str, notice_version: str) -> Consent:
    """Write down that a person is asked for consent. Raises InvalidScope."""
    check_scope(scope, assurance)
    consent = Consent.objects.create(
        person=person,
        studio_id=person.studio_id,
        role=scope.role.value,
        assurance=assurance.value,
        purposes=sorted(scope.purposes),
        territories=sorted(scope.territories),
        exclusions=list(scope.exclusions),
        intended_use=scope.intended_use,
        voice=scope.voice,
        notice_version=notice_version,
        valid_from=scope.valid_from,
        valid_until=scope.valid_until,
    )
    _append(consent, action="requested", source="", actor=actor, detail={"assurance": assurance.value})
    return consent


def give_consent(*, consent_id: UUID, actor: str, detail: dict[str, Any] | None = None) -> Consent:
    """The person agreed. Raises UnknownConsent, TransitionRefused."""
    return _move(consent_id, State.GIVEN, actor=actor, action="given", detail=detail or {})


def decline_consent(*, consent_id: UUID, actor: str) -> Consent:
    """The person said no to a request. Raises UnknownConsent, TransitionRefused."""
    return _move(consent_id, State.DECLINED, actor=actor, action="declined", detail={})


def suspend_consent(*, consent_id: UUID, actor: str, reason: str) -> Consent:
    """Stop every use until a person looked. Raises UnknownConsent, TransitionRefused."""
    return _move(consent_id, State.SUSPENDED, actor=actor, action="suspended", detail={"reason": reason})


def terminate_consent(*, consent_id: UUID, actor: str, reason: str) -> Consent:
    """End a consent for another cause than the person's will. Raises UnknownConsent, TransitionRefused."""
    return _move(consent_id, State.TERMINATED, actor=actor, action="terminated", detail={"reason": reason})


@transaction.atomic
def withdraw_consent(*, consent_id: UUID, actor: str, reason: str = "") -> Consent:
    """The person takes the consent back, at once. A second call changes nothing. Raises UnknownConsent, TransitionRefused.

    Templates stay sealed for a grace period, unless another consent of the person still needs them, then are destroyed.
    """
    current = Consent.objects.select_for_update().filter(id=consent_id).first()
    if current is not None and current.state == State.WITHDRAWN.value:
        return current
    consent = _move(consent_id, State.WITHDRAWN, actor=actor, action="withdrawn", detail={"reason": reason})
    if not _needs_templates(consent.person_id):
        soon = timezone.now() + GRACE_AFTER_WITHDRAWAL
        FaceTemplate.objects.filter(person_id=consent.person_id, destroy_by__gt=soon).update(destroy_by=soon)
    return consent


def expire_consents(*, now: datetime | None = None) -> int:
    """Move consents past their end to `expired` and destroy templates that nothing needs any more; return how many expired."""
    moment = now or timezone.now()
    standing = [State.GIVEN.value, State.SUSPENDED.value]
    due = Consent.objects.filter(state__in=standing, valid_until__lte=moment).values_list("id", flat=True)
    expired = [_expire(consent_id) for consent_id in list(due)]
    return sum(expired)


@transaction.atomic
def _expire(consent_id: UUID) -> bool:
    try:
        consent = _move(consent_id, State.EXPIRED, actor="system", action="expired", detail={})
    except TransitionRefused:
        return False  # withdrawn between the look and the move
    if not _needs_templates(consent.person_id):
        destroy_templates(person_id=consent.person_id, actor="system", cause="consent expired")
    return True


def _needs_templates(person_id: UUID) -> bool:
    standing = [State.REQUESTED.value, State.GIVEN.value, State.SUSPENDED.value]
    return Consent.objects.filter(person_id=person_id, state__in=standing).exists()


@transaction.atomic
def _move(consent_id: UUID, target: State, *, actor: str, action: str, detail: dict[str, Any]) -> Consent:
    consent = Consent.objects.select_for_update().filter(id=consent_id).first()
    if consent is None:
        raise UnknownConsent("There is no such consent; check its id.")
    source = State(consent.state)
    if target not in MOVES.get(source, frozenset()):
        raise TransitionRefused(f"This consent is {source} and cannot become {target}; look at its history.")
    now = timezone.now()
    changes: dict[str, Any] = {"state": target.value}
    if target is State.GIVEN and consent.given_at is None:
        changes["given_at"] = now
    if target in ENDS:
        changes["ended_at"] = now
    # conditional although the row is locked: the statement itself is the proof
    if Consent.objects.filter(id=consent_id, state=source.value).update(**changes) != 1:
        raise TransitionRefused("This consent changed at the same moment; try again.")
    consent.refresh_from_db()
    _append(consent, action=action, source=source.value, actor=actor, detail=detail)
    if target in STOPS_JOBS:
        message = {"consent": str(consent_id), "studio": str(consent.studio_id), "state": target.value, "since": now.isoformat()}
        publish(topic=f"consent.{target.value}", payload=message)
    return consent


def _append(consent: Consent, *, action: str, source: str, actor: str, detail: dict[str, Any]) -> None:
    last = ConsentEvent.objects.filter(consent=consent).order_by("-sequence").first()
    event = ConsentEvent(
        consent=consent,
        sequence=last.sequence + 1 if last else 1,
        action=action,
        from_state=source,
        to_state=consent.state,
        actor=actor,
        occurred_at=timezone.now(),
        detail=detail,
        previous_hash=last.hash if last else "",
    )
    event.hash = event_hash(event.previous_hash, hashed_fields(event))
    event.save(force_insert=True)
    record_event(
        actor=actor,
        action=f"consent.{action}",
        subject_type="consent",
        subject_id=str(consent.id),
        studio_id=consent.studio_id,
        # the reason may name people: it stays in this room's own event
        detail={"state": consent.state, "event": event.hash},
    )


@transaction.atomic
def keep_template(
    *, person: Person, engine_id: str, embedding: Embedding, quality: float, assurance: Assurance, destroy_by: datetime
) -> FaceTemplate:
    """Encrypt and store a template in place of the person's earlier one of this model and assurance."""
    key = _data_key_of(person)
    box = seal(key, embedding.astype("<f4").tobytes(), bound_to=template_of(person.id, engine_id))
    FaceTemplate.objects.filter(person=person, engine_id=engine_id, assurance=assurance.value).delete()
    return FaceTemplate.objects.create(
        person=person,
        engine_id=engine_id,
        assurance=assurance.value,
        nonce=box.nonce,
        ciphertext=box.ciphertext,
        quality=float(np.clip(quality, 0.0, 1.0)),
        destroy_by=min(destroy_by, timezone.now() + TEMPLATE_YEARS),
    )


def _data_key_of(person: Person) -> bytes:
    # the lock keeps two first enrolments from making two keys
    Person.objects.select_for_update().get(id=person.id)
    if PersonKey.objects.filter(person=person).exists():
        return data_key(person_id=person.id)
    key = new_data_key()
    box = seal(template_master_key(), key, bound_to=wrapping_of(person.id))
    PersonKey.objects.create(person=person, nonce=box.nonce, wrapped_key=box.ciphertext)
    return key


@transaction.atomic
def destroy_templates(*, person_id: UUID, actor: str, cause: str) -> int:
    """Delete a person's data key and templates; return how many templates there were. Copies elsewhere cannot be read again."""
    PersonKey.objects.filter(person_id=person_id).delete()
    count, _ = FaceTemplate.objects.filter(person_id=person_id).delete()
    person = Person.objects.get(id=person_id)
    record_event(
        actor=actor,
        action="consent.templates_destroyed",
        subject_type="person",
        subject_id=str(person.pseudonym),
        studio_id=person.studio_id,
        detail={"templates": count, "cause": cause},
    )
    return count


def destroy_due_templates(*, now: datetime | None = None) -> int:
    """Destroy the templates whose time is over; return how many. A person left without any loses the data key too."""
    moment = now or timezone.now()
    due = FaceTemplate.objects.filter(destroy_by__lte=moment)
    people = list(due.values_list("person_id", flat=True).distinct())
    return sum(_destroy_due(person_id, moment) for person_id in people)


@transaction.atomic
def _destroy_due(person_id: UUID, moment: datetime) -> int:
    if not FaceTemplate.objects.filter(person_id=person_id, destroy_by__gt=moment).exists():
        return destroy_templates(person_id=person_id, actor="system", cause="retention is over")
    count, _ = FaceTemplate.objects.filter(person_id=person_id, destroy_by__lte=moment).delete()
    return count
