"""The Django application of `audit`."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Registers `audit`."""

    name = "audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"
