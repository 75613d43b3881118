"""Consents as rows: how they move, what they leave behind, and what the database itself refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from audit.models import Event, OutboxMessage
from consent import selectors, services
from consent.errors import InvalidScope, TransitionRefused, UnknownConsent
from consent.models import Consent, ConsentEvent, FaceTemplate, PersonKey
from consent.policy import Assurance

Make = Callable[..., Consent]


def test_giving_and_withdrawing_leaves_a_chain_of_events(make_consent: Make) -> None:
    consent = make_consent()
    services.withdraw_consent(consent_id=consent.id, actor="user:1", reason="changed my mind")
    events = list(ConsentEvent.objects.filter(consent=consent))
    assert [event.action for event in events] == ["requested", "given", "withdrawn"]
    assert events[2].detail == {"reason": "changed my mind"}
    assert selectors.first_broken_event(consent_id=consent.id) is None


def test_a_withdrawal_is_audited_and_told_to_the_rooms_above(make_consent: Make) -> None:
    consent = make_consent()
    services.withdraw_consent(consent_id=consent.id, actor="user:1")
    assert Event.objects.filter(action="consent.withdrawn", subject_id=str(consent.id), actor="user:1").count() == 1
    message = OutboxMessage.objects.get(topic="consent.withdrawn")
    assert message.payload["consent"] == str(consent.id)


def test_withdrawing_twice_changes_nothing_the_second_time(make_consent: Make) -> None:
    consent = make_consent()
    first = services.withdraw_consent(consent_id=consent.id, actor="user:1")
    second = services.withdraw_consent(consent_id=consent.id, actor="user:2")
    assert first.ended_at == second.ended_at
    assert OutboxMessage.objects.count() == 1


def test_a_suspended_consent_can_be_withdrawn(make_consent: Make) -> None:
    consent = make_consent()
    services.suspend_consent(consent_id=consent.id, actor="user:1", reason="this is me")
    assert services.withdraw_consent(consent_id=consent.id, actor="user:1").state == "withdrawn"


def test_what_was_withdrawn_or_declined_is_never_given_again(make_consent: Make) -> None:
    withdrawn, declined = make_consent(), make_consent(given=False)
    services.withdraw_consent(consent_id=withdrawn.id, actor="user:1")
    services.decline_consent(consent_id=declined.id, actor="user:1")
    for consent in (withdrawn, declined):
        with pytest.raises(TransitionRefused):
            services.give_consent(consent_id=consent.id, actor="user:1")


def test_an_unknown_consent_cannot_be_withdrawn(db: None) -> None:
    with pytest.raises(UnknownConsent):
        services.withdraw_consent(consent_id=ConsentEvent().id, actor="user:1")


def test_a_lost_race_is_refused_without_a_trace(make_consent: Make) -> None:
    consent = make_consent()
    Consent.objects.filter(id=consent.id).update(state="expired", ended_at=timezone.now())
    with pytest.raises(TransitionRefused):
        services.withdraw_consent(consent_id=consent.id, actor="user:1")
    assert not ConsentEvent.objects.filter(consent=consent, action="withdrawn").exists()


def test_consents_past_their_end_expire_and_take_their_templates_along(make_consent: Make) -> None:
    over, standing = make_consent(from_days=-3, until_days=-1), make_consent()
    assert services.expire_consents() == 1
    over.refresh_from_db()
    standing.refresh_from_db()
    assert (over.state, standing.state) == ("expired", "given")
    assert not PersonKey.objects.filter(person=over.person).exists()
    assert FaceTemplate.objects.filter(person=standing.person).exists()


def test_a_template_that_another_consent_needs_survives_the_first_ones_end(make_consent: Make) -> None:
    over = make_consent(from_days=-3, until_days=-1)
    make_consent(None, person=over.person)
    services.expire_consents()
    assert FaceTemplate.objects.filter(person=over.person).exists()


def test_after_a_withdrawal_templates_are_destroyed_when_the_grace_period_is_over(make_consent: Make) -> None:
    consent = make_consent()
    services.withdraw_consent(consent_id=consent.id, actor="user:1")
    assert services.destroy_due_templates() == 0
    assert services.destroy_due_templates(now=timezone.now() + services.GRACE_AFTER_WITHDRAWAL) == 1
    assert not PersonKey.objects.filter(person=consent.person).exists()
    assert Event.objects.filter(action="consent.templates_destroyed").exists()


@pytest.mark.parametrize("change", ["UPDATE consent_consentevent SET actor = 'nobody'", "DELETE FROM consent_consentevent"])
def test_the_database_refuses_to_change_an_event(make_consent: Make, change: str) -> None:
    make_consent()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_a_changed_event_is_found_even_past_the_trigger(make_consent: Make) -> None:
    consent = make_consent()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE consent_consentevent SET actor = 'nobody' WHERE sequence = 2")
    assert selectors.first_broken_event(consent_id=consent.id) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"state": "agreed"},
        {"role": "bystander"},
        {"assurance": "certain"},
        {"purposes": []},
        {"purposes": ["espionage"]},
        {"territories": []},
        {"assurance": "attested"},  # the purpose is film
        {"valid_until": timezone.now() - timedelta(days=99)},
        {"given_at": None},
        {"state": "withdrawn"},  # without the time of its end
    ],
)
def test_the_database_refuses_a_consent_that_makes_no_sense(make_consent: Make, change: dict[str, object]) -> None:
    consent = make_consent()
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(id=consent.id).update(**change)


@pytest.mark.parametrize(
    "scope",
    [
        {"purposes": ()},
        {"purposes": ("espionage",)},
        {"territories": ()},
        {"territories": ("Germany",)},
        {"territories": ("de",)},
        {"until_days": -2.0},
        {"assurance": Assurance.ATTESTED},
    ],
)
def test_a_scope_that_makes_no_sense_is_refused_with_what_to_do(make_consent: Make, scope: dict[str, object]) -> None:
    with pytest.raises(InvalidScope):
        make_consent(**scope)
    assert not Consent.objects.exists()


def told(*consents: Consent, fictional: bool = False) -> str:
    faces = [{"consent": str(consent.id), "outcome": "covered"} for consent in consents]
    drawn = [{"consent": None, "outcome": "declared_fictional"}] if fictional else []
    return selectors.public_standing(decision_snapshot={"faces": faces + drawn}, now=timezone.now())[0]


def test_the_public_hears_the_worst_of_the_consents_behind_an_output(make_consent: Make) -> None:
    active, attested = make_consent(), make_consent(assurance=Assurance.ATTESTED, purposes=("internal_test",))
    over, withdrawn, suspended = make_consent(from_days=-3, until_days=-1), make_consent(), make_consent()
    services.withdraw_consent(consent_id=withdrawn.id, actor="user:1")
    services.suspend_consent(consent_id=suspended.id, actor="user:1", reason="this is me")
    suspended.refresh_from_db()
    assert told(active) == "active"
    assert told(active, attested) == "attested"
    assert told(attested, fictional=True) == "declared_fictional"
    assert told(attested, over) == "expired"
    assert told(over, suspended) == "ended"
    assert told(suspended, withdrawn) == "revoked"


def test_an_output_whose_consent_is_gone_reads_as_ended(make_consent: Make) -> None:
    assert told() == "ended"
    assert told(make_consent(), Consent(id=uuid4())) == "ended"
