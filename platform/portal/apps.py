"""The Django application of `portal`."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers `portal`."""

    name = "portal"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"
