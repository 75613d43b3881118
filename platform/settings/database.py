"""From `DATABASE_URL` to Django's database settings. PostgreSQL is the only database."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .env import EnvironmentProblem

POOL = {"min_size": 1, "max_size": 8, "timeout": 10}


def parse_database_url(url: str, *, pool: bool = False) -> dict[str, Any]:
    """Return the `DATABASES` entry for `postgresql://user:password@host:port/name?option=value`.

    A `host` that begins with a slash, as an option (libpq's form), is the folder of a Unix socket. Other options are handed
    to libpq. With `pool`, connections come from psycopg's pool.

    Raises: EnvironmentProblem when the address is not one of PostgreSQL or names no database.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise EnvironmentProblem("DATABASE_URL", "is not a PostgreSQL address; set it to postgresql://user:password@host/name.")
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise EnvironmentProblem("DATABASE_URL", "names no database; end it with /name.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", parts.hostname or "")
    port = options.pop("port", parts.port or "")
    if pool:
        options["pool"] = dict(POOL)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port),
        "OPTIONS": options,
        # a pool keeps connections itself; without one, a connection per request is plainest
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": not pool,
    }
