"""What the platform keeps of each output, so that any later copy can be recognised. It names nobody."""

from __future__ import annotations

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from provenance.fingerprint.windows import DIMENSIONS
from provenance.vector_field import HalfVectorField


class Record(models.Model):
    """One output: reserved with its watermark id before rendering, sealed once with everything that proves it.

    The previews of a studio in one month share a record of their own, which is never sealed; its `job_id` is no job's.
    The database refuses a change of what was reserved, a second sealing and removal (`0002_append_only`,
    `0003_previews_have_records`).
    """

    class Kind(models.TextChoices):
        """What carries the mark."""

        OUTPUT = "output"
        PREVIEW = "preview"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    watermark_id = models.CharField(max_length=16, unique=True, validators=[RegexValidator(r"^[0-9a-f]{16}$")])
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.OUTPUT)
    key_name = models.CharField(max_length=80)  # which derived key marks it: studio and month
    scheme = models.PositiveSmallIntegerField()
    job_id = models.UUIDField()  # no foreign key: provenance does not know generation
    studio_id = models.UUIDField(db_index=True)
    studio_public_name = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - null: the studio is not to be named
    system = models.CharField(max_length=80)
    system_version = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now)

    sealed_at = models.DateTimeField(null=True, blank=True)
    manifest_id = models.CharField(max_length=120, unique=True, null=True, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)  # of the CBOR claim
    manifest_store = models.BinaryField(default=bytes)
    signer_serial = models.CharField(max_length=64, blank=True)
    development_signer = models.BooleanField(default=True)
    asset_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    frame_rate = models.CharField(max_length=24, blank=True)  # an exact fraction, such as 30000/1001
    frame_count = models.PositiveIntegerField(null=True, blank=True)
    duration_s = models.FloatField(null=True, blank=True)
    self_test = models.JSONField(default=dict, blank=True)
    fingerprint = models.BinaryField(default=bytes)
    audio_fingerprint = models.BinaryField(null=True, blank=True)
    sketch = models.BinaryField(default=bytes)  # 64 bytes that narrow the search by content

    class Meta:
        """Sealing fills everything at once, or nothing."""

        constraints = (
            models.UniqueConstraint(fields=["job_id", "kind"], name="record_once_per_job_and_kind"),
            models.CheckConstraint(
                name="preview_record_never_sealed", condition=~models.Q(kind="preview") | models.Q(sealed_at__isnull=True)
            ),
            models.CheckConstraint(
                name="record_sealed_whole",
                condition=models.Q(sealed_at__isnull=True, manifest_id__isnull=True)
                | (
                    models.Q(sealed_at__isnull=False, manifest_id__isnull=False)
                    & ~models.Q(manifest_sha256="")
                    & ~models.Q(asset_sha256="")
                    & ~models.Q(fingerprint=b"")
                ),
            ),
        )
        indexes = (models.Index(fields=["sealed_at"]),)

    def __str__(self) -> str:
        return self.watermark_id


class WatermarkKey(models.Model):
    """A key that marks, or once marked, outputs of one studio; its bytes are derived from the name and stored nowhere.

    The database lets a state go on only, from live to retired to compromised, and gives no key up (`0004_watermark_keys`).
    """

    class State(models.TextChoices):
        """What a key is good for. Marks of every key are looked for; those of a compromised one prove nothing."""

        LIVE = "live"
        RETIRED = "retired"
        COMPROMISED = "compromised"

    name = models.CharField(max_length=80, primary_key=True)
    scheme = models.PositiveSmallIntegerField()
    studio_id = models.UUIDField(db_index=True)
    kind = models.CharField(max_length=8, choices=Record.Kind.choices, default=Record.Kind.OUTPUT)
    month = models.CharField(max_length=7)  # 2026-11
    state = models.CharField(max_length=11, choices=State.choices, default=State.LIVE)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """One key marks at a time."""

        constraints = (
            models.UniqueConstraint(
                fields=["studio_id", "kind", "month", "scheme"], condition=models.Q(state="live"), name="watermark_key_live_once"
            ),
        )

    def __str__(self) -> str:
        return self.name


class StillKey(models.Model):
    """The 32-bit number that stills cut from one output carry, by which its record is looked up."""

    key = models.PositiveBigIntegerField(primary_key=True)
    record = models.OneToOneField(Record, on_delete=models.PROTECT, related_name="still_key")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Thirty-two bits."""

        constraints = (models.CheckConstraint(name="still_key_has_32_bits", condition=models.Q(key__lt=2**32)),)

    def __str__(self) -> str:
        return f"{self.key:08x}"


class SoftBinding(models.Model):
    """A soft binding that resolves to a record. Written by the platform alone and never moved (misuse register A20)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alg = models.CharField(max_length=120)
    value = models.CharField(max_length=344)  # base64
    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="soft_bindings")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """One value of one algorithm points to one record."""

        constraints = (models.UniqueConstraint(fields=["alg", "value"], name="soft_binding_points_once"),)

    def __str__(self) -> str:
        return f"{self.alg} {self.value}"


class FingerprintWindow(models.Model):
    """One window of a sealed record's picture, by which copies of it are found: see `provenance.fingerprint_index`."""

    id = models.BigAutoField(primary_key=True)
    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="fingerprint_windows")
    at_s = models.FloatField()  # the middle of the window, seconds from the first frame
    vector = HalfVectorField(dimensions=DIMENSIONS)  # of unit length

    def __str__(self) -> str:
        return f"{self.record_id} at {self.at_s:.2f} s"
