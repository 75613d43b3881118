"""The site as a web server runs it: the size of a body is looked at before anything else."""

from __future__ import annotations

from portal.body_limits import BodyLimits
from settings.asgi import application as site

application = BodyLimits(site)
