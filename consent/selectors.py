"""What other code reads of consent. Face templates are opened here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from consent.chain import event_hash
from consent.errors import TemplateDestroyed
from consent.faces.engine import Embedding
from consent.models import Consent, ConsentEvent, FaceTemplate, PersonKey
from consent.policy import ASSURANCE_ORDER, Assurance, ConsentView, Outcome, Role, State
from consent.sealing import SealedBox, template_of, unseal, wrapping_of
from settings.keys import template_master_key

PUBLIC_STATES = ("revoked", "ended", "expired", "declared_fictional", "attested", "active")  # worst first


def consents_by_id(*, ids: Iterable[UUID], lock: bool = False) -> dict[UUID, Consent]:
    """Return the consents that exist among `ids`; with `lock`, held until the caller's transaction ends."""
    found = Consent.objects.filter(id__in=list(ids)).order_by("id")
    return {consent.id: consent for consent in (found.select_for_update() if lock else found)}


def names_by_consent(*, ids: Iterable[UUID], studio_id: UUID) -> dict[UUID, str]:
    """Return the names that a studio gave the people of these consents. Consents of other studios are left out."""
    rows = Consent.objects.filter(id__in=list(ids), studio_id=studio_id)
    return dict(rows.values_list("id", "person__display_name"))


def given_consents(*, studio_id: UUID) -> list[Consent]:
    """Return a studio's consents that are given, newest first, whatever their dates and scope."""
    return list(Consent.objects.filter(studio_id=studio_id, state=State.GIVEN.value).order_by("-given_at"))


def consents_with_templates(*, studio_id: UUID) -> list[Consent]:
    """Return the consents of a studio's people in every state, newest first: while a template lives, its person is known."""
    rows = Consent.objects.filter(studio_id=studio_id, person__templates__isnull=False)
    return list(rows.distinct().order_by("-requested_at"))


def view_of(consent: Consent) -> ConsentView:
    """Return what the rules read of a consent."""
    return ConsentView(
        id=consent.id,
        studio_id=consent.studio_id,
        role=Role(consent.role),
        state=State(consent.state),
        assurance=Assurance(consent.assurance),
        purposes=frozenset(consent.purposes),
        territories=frozenset(consent.territories),
        voice=consent.voice,
        valid_from=consent.valid_from,
        valid_until=consent.valid_until,
    )


def template_for(*, person_id: UUID, engine_id: str, at_least: Assurance, now: datetime) -> FaceTemplate | None:
    """Return the person's best proven template of one model that is at least this well proven and not due for destruction."""
    allowed = ASSURANCE_ORDER[ASSURANCE_ORDER.index(at_least) :]
    rows = FaceTemplate.objects.filter(
        person_id=person_id, engine_id=engine_id, assurance__in=[level.value for level in allowed], destroy_by__gt=now
    )
    return max(rows, key=lambda row: ASSURANCE_ORDER.index(Assurance(row.assurance)), default=None)


def data_key(*, person_id: UUID) -> bytes:
    """Return a person's data key. Raises TemplateDestroyed when it is gone, TemplateUnreadable when it does not open."""
    row = PersonKey.objects.filter(person_id=person_id).first()
    if row is None:
        raise TemplateDestroyed("The face templates of this person were destroyed; enrol the person again.")
    box = SealedBox(bytes(row.nonce), bytes(row.wrapped_key))
    return unseal(template_master_key(), box, bound_to=wrapping_of(person_id))


def open_template(template: FaceTemplate) -> Embedding:
    """Return the embedding of a template, float64 (D,). Raises TemplateDestroyed or TemplateUnreadable."""
    box = SealedBox(bytes(template.nonce), bytes(template.ciphertext))
    bound_to = template_of(template.person_id, template.engine_id)
    plain = unseal(data_key(person_id=template.person_id), box, bound_to=bound_to)
    return np.frombuffer(plain, dtype="<f4").astype(np.float64)


def hashed_fields(event: ConsentEvent) -> dict[str, object]:
    """Return the fields of an event that its hash covers."""
    return {
        "consent": str(event.consent_id),
        "sequence": event.sequence,
        "action": event.action,
        "from": event.from_state,
        "to": event.to_state,
        "actor": event.actor,
        "at": event.occurred_at.isoformat(),
        "detail": event.detail,
    }


def first_broken_event(*, consent_id: UUID) -> int | None:
    """Return the sequence of the first event whose hash or number does not follow, None when the chain holds."""
    previous = ""
    for expected, event in enumerate(ConsentEvent.objects.filter(consent_id=consent_id).order_by("sequence"), start=1):
        holds = event.sequence == expected and event.previous_hash == previous
        if not holds or event.hash != event_hash(previous, hashed_fields(event)):
            return expected
        previous = event.hash
    return None


def consents_of_decision(*, decision_snapshot: Mapping[str, Any], lock: bool = False) -> list[Consent]:
    """Return the consents that a stored decision rests on. With `lock` they stay as they are until the transaction ends."""
    ids = [UUID(face["consent"]) for face in decision_snapshot.get("faces", []) if face.get("consent")]
    rows = Consent.objects.filter(id__in=ids).order_by("id")
    return list(rows.select_for_update() if lock else rows)


def public_standing(*, decision_snapshot: Mapping[str, Any], now: datetime) -> tuple[str, datetime | None]:
    """Return what the public may know of the consents behind a decision: one state, and since when.

    The worst state of all counts. A consent that is gone, or a decision without faces, reads `ended`.
    """
    faces = decision_snapshot.get("faces", [])
    named = {face["consent"] for face in faces if face.get("consent")}
    consents = consents_of_decision(decision_snapshot=decision_snapshot)
    if not faces or len(consents) < len(named):
        return "ended", None
    states = [_public_state(consent, now) for consent in consents]
    if any(face["outcome"] == Outcome.DECLARED_FICTIONAL for face in faces):
        states.append(("declared_fictional", None))
    return min(states, key=lambda state: PUBLIC_STATES.index(state[0]), default=("ended", None))


def _public_state(consent: Consent, now: datetime) -> tuple[str, datetime | None]:
    if consent.state == State.WITHDRAWN:
        return "revoked", consent.ended_at
    if consent.state not in {State.GIVEN, State.EXPIRED}:
        return "ended", consent.ended_at
    if consent.state == State.EXPIRED or consent.valid_until <= now:
        return "expired", consent.valid_until
    return ("attested" if consent.assurance == Assurance.ATTESTED else "active"), consent.given_at
