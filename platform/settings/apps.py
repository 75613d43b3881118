"""Makes our Celery application the current one in every Django process, so that any of them can send a task."""

from __future__ import annotations

from django.apps import AppConfig

from . import celery_app

__all__ = ["celery_app"]


class SettingsConfig(AppConfig):
    """Registers nothing: it is here for the import above."""

    name = "settings"
