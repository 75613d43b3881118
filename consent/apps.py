"""The Django application of `consent`."""

from __future__ import annotations

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """Registers `consent`."""

    name = "consent"
    label = "consent"
    default_auto_field = "django.db.models.BigAutoField"
