"""People, the consents they gave, and their encrypted face templates."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from consent.policy import ATTESTED_PURPOSES, PURPOSES, Assurance, Role, State
from users.models import Studio


class Person(models.Model):
    """Somebody who is depicted or performs. Known to one studio by a name, to the public by none.

    `pseudonym` stands for the person in exported records.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studio = models.ForeignKey(Studio, on_delete=models.PROTECT, related_name="people")
    display_name = models.CharField(max_length=120)
    pseudonym = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["studio", "display_name"], name="consent_person_of_studio")]

    def __str__(self) -> str:
        return f"person {self.pseudonym}"


class Consent(models.Model):
    """What one person agreed to, for one studio: as whom, for what, where, until when.

    territories: ISO 3166-1 alpha-2 codes, or "001" (UN M49) for the whole world; never empty. valid_until is exclusive.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="consents")
    studio = models.ForeignKey(Studio, on_delete=models.PROTECT, related_name="consents")
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    state = models.CharField(
        max_length=16, choices=[(state.value, state.value) for state in State], default=State.REQUESTED.value
    )
    assurance = models.CharField(max_length=16, choices=[(level.value, level.value) for level in Assurance])
    purposes = ArrayField(models.CharField(max_length=32))
    territories = ArrayField(models.CharField(max_length=3))
    exclusions = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    intended_use = models.TextField(blank=True)
    voice = models.BooleanField(default=False)
    notice_version = models.CharField(max_length=64)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    given_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=[state.value for state in State]), name="consent_state_is_known"),
            models.CheckConstraint(condition=Q(role__in=[role.value for role in Role]), name="consent_role_is_known"),
            models.CheckConstraint(condition=Q(assurance__in=[a.value for a in Assurance]), name="consent_assurance_is_known"),
            models.CheckConstraint(
                condition=Q(purposes__len__gt=0, purposes__contained_by=sorted(PURPOSES)), name="consent_purposes_are_known"
            ),
            models.CheckConstraint(condition=Q(territories__len__gt=0), name="consent_names_territories"),
            models.CheckConstraint(condition=Q(valid_from__lt=F("valid_until")), name="consent_period_is_not_empty"),
            # what an operator attests never serves more than a test, whatever code writes the row
            models.CheckConstraint(
                condition=~Q(assurance=Assurance.ATTESTED.value) | Q(purposes__contained_by=sorted(ATTESTED_PURPOSES)),
                name="consent_attested_is_for_tests",
            ),
            models.CheckConstraint(
                condition=Q(given_at__isnull=False)
                | ~Q(state__in=[State.GIVEN.value, State.WITHDRAWN.value, State.EXPIRED.value, State.SUSPENDED.value]),
                name="consent_given_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False)
                | ~Q(state__in=[State.WITHDRAWN.value, State.EXPIRED.value, State.TERMINATED.value, State.DECLINED.value]),
                name="consent_ended_has_a_time",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["studio", "state"], name="consent_of_studio_by_state")]

    def __str__(self) -> str:
        return f"consent {self.id} ({self.state})"


class ConsentEvent(models.Model):
    """A change of a consent, chained to the one before it. A trigger refuses every change of a stored row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="events")
    sequence = models.PositiveIntegerField()  # 1, 2, 3 ... per consent
    action = models.CharField(max_length=64)
    from_state = models.CharField(max_length=16, blank=True)
    to_state = models.CharField(max_length=16)
    actor = models.CharField(max_length=200)
    occurred_at = models.DateTimeField()
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64, blank=True)  # empty for the first event
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering: ClassVar = ["consent", "sequence"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["consent", "sequence"], name="consent_event_once_per_sequence"),
        ]

    def __str__(self) -> str:
        return f"{self.consent_id} {self.sequence} {self.action}"


class PersonKey(models.Model):
    """A person's data key, wrapped by the master key. Deleting the row makes every template of the person unreadable.

    A table of its own, so that database backups can leave it out: a restored backup must not bring a key back.
    """

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True, related_name="data_key")
    nonce = models.BinaryField(max_length=12)
    wrapped_key = models.BinaryField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"data key of {self.person_id}"


class FaceTemplate(models.Model):
    """A face embedding, encrypted with the person's data key. Only `consent.templates` reads it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="templates")
    engine_id = models.CharField(max_length=64)  # name@version of the model; templates of two models are never compared
    assurance = models.CharField(max_length=16, choices=[(level.value, level.value) for level in Assurance])
    nonce = models.BinaryField(max_length=12)
    ciphertext = models.BinaryField()
    quality = models.FloatField()  # 0..1
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    destroy_by = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "engine_id", "assurance"], name="consent_template_once_per_engine"),
            models.CheckConstraint(condition=Q(quality__gte=0.0, quality__lte=1.0), name="consent_template_quality_is_a_share"),
            models.CheckConstraint(condition=Q(created_at__lt=F("destroy_by")), name="consent_template_ends"),
        ]

    def __str__(self) -> str:
        return f"template of {self.person_id} by {self.engine_id}"
