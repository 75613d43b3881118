"""The Django application of `users`."""

from __future__ import annotations

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Registers `users`."""

    name = "users"
    label = "users"
    default_auto_field = "django.db.models.BigAutoField"
