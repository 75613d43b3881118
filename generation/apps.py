"""The Django application of `generation`."""

from __future__ import annotations

from django.apps import AppConfig


class GenerationConfig(AppConfig):
    """Registers `generation`."""

    name = "generation"
    label = "generation"
    default_auto_field = "django.db.models.BigAutoField"
