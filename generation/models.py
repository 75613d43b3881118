"""Assets that studios upload, the jobs that turn them into clips, and the motion templates recorded from these.

Rows only: rules live in `services` and `pipeline`.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from generation.states import Stage, Status


def _choices(values: type[Status] | type[Stage]) -> list[tuple[str, str]]:
    return [(member.value, member.value.replace("_", " ")) for member in values]


class Asset(models.Model):
    """An uploaded still, video or motion template, and the normalised form that is looked at, decided on and rendered."""

    class Kind(models.TextChoices):
        """What the file is used as."""

        STILL = "still"
        VIDEO = "video"
        MOTION = "motion", "motion template"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studio = models.ForeignKey("users.Studio", on_delete=models.PROTECT, related_name="assets")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    file_name = models.CharField(max_length=255, help_text="As uploaded; shown to its studio only, never in a manifest.")
    upload_path = models.CharField(max_length=512)
    upload_sha256 = models.CharField(max_length=64)
    upload_bytes = models.PositiveBigIntegerField()
    normalised_path = models.CharField(max_length=512, blank=True)
    normalised_sha256 = models.CharField(max_length=64, blank=True)
    facts = models.JSONField(default=dict, help_text="What the probe and the normaliser found.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Job(models.Model):
    """One request to animate a portrait by driving performances. This row is the truth; queues only point at it.

    portrait: the source, a still or a video. driving: the lead driver, which sets length and sound, and for a still the rate.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studio = models.ForeignKey("users.Studio", on_delete=models.PROTECT, related_name="jobs")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    idempotency_key = models.CharField(max_length=128)
    request_sha256 = models.CharField(max_length=64)

    portrait = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="jobs_as_portrait")
    driving = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="jobs_as_driving")
    purpose = models.CharField(max_length=32)
    territories = models.JSONField(default=list)
    declared_fictional = models.BooleanField(default=False)
    engine = models.CharField(max_length=32)
    options = models.JSONField(default=dict)
    named_consents = models.JSONField(default=dict, help_text="Consent id by face, as the studio committed to it.")
    propose_consents = models.BooleanField(default=True, help_text="Fill faces left unnamed from the studio's own consents.")
    waits_for_start = models.BooleanField(default=False, help_text="Stays cleared, for previews, until it is started.")

    status = models.CharField(max_length=16, choices=_choices(Status), default=Status.SUBMITTED)
    stage = models.CharField(max_length=8, choices=_choices(Stage), default=Stage.CLEAR, help_text="Next or running stage.")
    reasons = models.JSONField(default=list)
    decision = models.JSONField(null=True, blank=True, help_text="The consent gate's decision, bound to every input's digest.")
    motion_sha256 = models.CharField(max_length=64, blank=True, help_text="Digest of the cleared face tracks.")

    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    frames_done = models.PositiveIntegerField(default=0)
    frames_total = models.PositiveIntegerField(default=0)

    watermark_id = models.CharField(max_length=16, blank=True)
    watermark_strength = models.FloatField(default=1.0)
    rendered_path = models.CharField(max_length=512, blank=True)
    rendered_sha256 = models.CharField(max_length=64, blank=True)
    render_facts = models.JSONField(default=dict, help_text="Engine, size, rate, frames, bridged stretches, label.")
    self_test = models.JSONField(default=dict, help_text="Margins of the watermark on the encoded file and its copies.")
    hold_reasons = models.JSONField(default=list, help_text="Why a sealed output waits for a person.")
    output_path = models.CharField(max_length=512, blank=True)
    output_sha256 = models.CharField(max_length=64, blank=True)
    manifest_id = models.CharField(max_length=128, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["studio", "idempotency_key"], name="job_idempotent_per_studio"),
            models.UniqueConstraint(fields=["watermark_id"], condition=~Q(watermark_id=""), name="job_watermark_id_unique"),
            models.CheckConstraint(
                condition=~Q(status=Status.RELEASED) | (~Q(output_path="") & ~Q(manifest_id="") & ~Q(watermark_id="")),
                name="released_job_is_sealed",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["status", "lease_expires_at"], name="job_by_status_and_lease")]

    def __str__(self) -> str:
        return f"job {self.id} ({self.status})"


class Part(models.Model):
    """One face of a job's source and the driving face that moves it, both counted from 1 as the survey names them.

    A job without parts pairs the faces of its only driver with those of the source, largest first.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveSmallIntegerField()
    driving = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="parts")
    driver_face = models.PositiveSmallIntegerField()
    face = models.PositiveSmallIntegerField()

    class Meta:
        ordering: ClassVar = ["job", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "position"], name="part_once_per_position"),
            models.UniqueConstraint(fields=["job", "face"], name="part_once_per_face"),
            models.CheckConstraint(condition=Q(driver_face__gte=1, face__gte=1), name="part_faces_count_from_one"),
        ]

    def __str__(self) -> str:
        return f"part {self.position} of {self.job_id}"


class MotionTemplate(models.Model):
    """A performance recorded from a cleared driver. The file is the studio's to keep; a file whose row is gone is refused."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studio = models.ForeignKey("users.Studio", on_delete=models.PROTECT, related_name="motion_templates")
    person = models.ForeignKey("consent.Person", on_delete=models.CASCADE, related_name="+", help_text="Who performs.")
    consent = models.ForeignKey("consent.Consent", on_delete=models.CASCADE, related_name="+", help_text="Recorded under.")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="motion_templates")
    face = models.CharField(max_length=16, help_text="Of the job, such as driver:1.")
    sha256 = models.CharField(max_length=64, unique=True)
    frames = models.PositiveIntegerField()
    frame_rate = models.CharField(max_length=32, help_text="Exact, such as 30000/1001.")
    recorded_by = models.CharField(max_length=200)
    recorded_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-recorded_at"]

    def __str__(self) -> str:
        return f"motion template {self.id} of {self.recorded_at:%Y-%m-%d}"  # it has no name: messages call it so


class JobEvent(models.Model):
    """One step in a job's life, written in the transaction that made it."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    from_status = models.CharField(max_length=16, blank=True)
    to_status = models.CharField(max_length=16)
    stage = models.CharField(max_length=8, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    actor = models.CharField(max_length=128)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status} -> {self.to_status}"


class Preview(models.Model):
    """One still that was shown of a job: who asked, for which settings and moment. The picture itself is kept nowhere."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studio = models.ForeignKey("users.Studio", on_delete=models.PROTECT, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="previews")
    actor = models.CharField(max_length=128)
    options = models.JSONField(default=dict, help_text="Those that differ from their defaults.")
    at_s = models.FloatField(help_text="The moment shown, in seconds of the clip; chosen by the server.")
    watermark_id = models.CharField(max_length=16)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["studio", "created_at"], name="preview_by_studio_and_day")]

    def __str__(self) -> str:
        return f"preview of {self.job_id} at {self.at_s} s"
