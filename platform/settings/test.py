"""Settings of the test suite: the database, queues and folders of one test run are its own, several may go on at once."""

from __future__ import annotations

import os

from .base import *  # noqa: F403
from .base import DATABASES, VAR_DIR
from .broker import broker_settings

# set by the first process of a run, inherited by its workers
TEST_RUN = os.environ.setdefault("COUNTERSIGN_TEST_RUN", str(os.getpid()))
TEST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")

DATABASES["default"]["TEST"] = {"NAME": f"test_countersign_{TEST_RUN}"}
TEST_DIR = VAR_DIR / "test" / f"{TEST_RUN}-{TEST_WORKER}"
BROKER_PREFIX = f"test-{TEST_RUN}-{TEST_WORKER}"
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker_settings(VAR_DIR, BROKER_PREFIX)

VAR_DIR = TEST_DIR
STORE_DIR = TEST_DIR / "store"
PKI_DIR = TEST_DIR / "pki"
STATIC_ROOT = TEST_DIR / "static"

# a slow hash protects stored passwords; tests store none
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
