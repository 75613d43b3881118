"""The Django application of `moderation`."""

from __future__ import annotations

from django.apps import AppConfig


class ModerationConfig(AppConfig):
    """Registers `moderation`."""

    name = "moderation"
    label = "moderation"
    default_auto_field = "django.db.models.BigAutoField"
