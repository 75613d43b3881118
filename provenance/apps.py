"""The Django application of `provenance`."""

from __future__ import annotations

from django.apps import AppConfig


class ProvenanceConfig(AppConfig):
    """Registers `provenance`."""

    name = "provenance"
    label = "provenance"
    default_auto_field = "django.db.models.BigAutoField"
