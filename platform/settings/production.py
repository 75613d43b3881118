"""Settings of a production site: whatever the base has a default for, and a site must choose, is refused unless it is set."""

from __future__ import annotations

from . import embedded, env
from .base import *  # noqa: F403
from .base import ALLOWED_HOSTS, DATABASES, DEBUG, SITE_URL
from .database import parse_database_url

DEVELOPMENT = False

if DEBUG:
    raise env.EnvironmentProblem("DEBUG", "is on, which shows secrets to visitors; unset it.")

SECRET_KEY = env.secret("SECRET_KEY")
if len(SECRET_KEY) < 50:
    raise env.EnvironmentProblem("SECRET_KEY", "is too short; set it to at least 50 random characters.")

if not env.listing("ALLOWED_HOSTS") or "*" in ALLOWED_HOSTS:
    raise env.EnvironmentProblem("ALLOWED_HOSTS", "allows every name; list the names under which the site is reached.")

env.text("SITE_URL")
if not SITE_URL.startswith("https://"):
    raise env.EnvironmentProblem("SITE_URL", "is not an https address; set it to the site's public address.")

_database_url = env.secret("DATABASE_URL")
if embedded.is_embedded(_database_url):
    raise env.EnvironmentProblem("DATABASE_URL", "is the embedded development server; set it to a server of your own.")
DATABASES["default"] = parse_database_url(_database_url, pool=env.boolean("DATABASE_POOL", True))

if not (env.secret("REDIS_URL", "") or env.secret("AMQP_URL", "")):
    raise env.EnvironmentProblem("REDIS_URL", "is not set, nor is AMQP_URL; set one of them to your broker.")

for _name in ("TEMPLATE_MASTER_KEY", "WATERMARK_MASTER_KEY"):
    env.secret(_name)
env.listing("MOTION_PUBLIC_KEYS")  # the private MOTION_SIGNING_KEY is for the recorder alone
for _name in ("COUNTERSIGN_VAR", "STORE_DIR", "PKI_DIR", "STATIC_ROOT"):
    env.path(_name)

SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 365 * 24 * 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
if env.boolean("BEHIND_TLS_PROXY", False):
    # only a proxy that always sets or strips this header may be trusted with it
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
