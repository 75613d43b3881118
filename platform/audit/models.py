"""The append-only event log and the outbox."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Event(models.Model):
    """Something that happened, chained to the event before it. A trigger refuses every change of a stored row."""

    sequence = models.BigIntegerField(primary_key=True)  # 1, 2, 3 ... without a gap; a gap is a removed row
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    occurred_at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    subject_type = models.CharField(max_length=100)
    subject_id = models.CharField(max_length=200)
    studio_id = models.UUIDField(null=True)  # no foreign key: `users` is above this room, and the log outlives its subjects
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering: ClassVar = ["sequence"]
        indexes: ClassVar = [
            models.Index(fields=["subject_type", "subject_id"], name="audit_event_subject"),
            models.Index(fields=["studio_id", "sequence"], name="audit_event_studio"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.subject_type}:{self.subject_id}"


class OutboxMessage(models.Model):
    """A message from a lower room to one above it, written in the transaction of its cause."""

    id = models.BigAutoField(primary_key=True)  # the order of publication
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    topic = models.CharField(max_length=100)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["topic", "id"], condition=models.Q(consumed_at=None), name="audit_outbox_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.topic}"
