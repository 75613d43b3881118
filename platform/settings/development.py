"""Settings of a developer's machine: the base as it is."""

from __future__ import annotations

from .base import *  # noqa: F403
