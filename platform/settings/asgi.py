"""The site as an ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from . import processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.development")

application = get_asgi_application()

# set only when ./dev started us
processes.end_with_parent()
