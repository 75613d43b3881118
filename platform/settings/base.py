"""Settings shared by development, tests and production. Importing this module starts nothing and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from media.limits import MediaLimits

from . import embedded, env
from .broker import broker_settings
from .database import parse_database_url

REPOSITORY = Path(__file__).resolve().parents[2]
# everything this machine stores: store (objects), pg, broker, pki, keys, run
VAR_DIR = env.path("COUNTERSIGN_VAR", REPOSITORY / "var")
STORE_DIR = env.path("STORE_DIR", VAR_DIR / "store")
PKI_DIR = env.path("PKI_DIR", VAR_DIR / "pki")

# True allows what production refuses: keys made on first use, the development PKI, consent attested on the command line
DEVELOPMENT = True
DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.secret("SECRET_KEY", "development-only-and-refused-by-settings.production")
ALLOWED_HOSTS = env.listing("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.listing("CSRF_TRUSTED_ORIGINS", [])
SITE_URL = env.text("SITE_URL", "http://127.0.0.1:8000")

# `web`, `worker` or `signer`; only the signer may reach the signing key
ROLE = env.text("COUNTERSIGN_ROLE", "web")

# None makes `settings.keys` keep one in var/keys; production requires the master keys and the public motion keys. The private one
# is for the process that records motion templates and nobody else.
TEMPLATE_MASTER_KEY = env.master_key("TEMPLATE_MASTER_KEY")
WATERMARK_MASTER_KEY = env.master_key("WATERMARK_MASTER_KEY")
MOTION_SIGNING_KEY = env.master_key("MOTION_SIGNING_KEY")
MOTION_PUBLIC_KEYS = env.public_keys("MOTION_PUBLIC_KEYS")  # the one in use first, then earlier ones whose templates still count


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request or one studio may cost. Every error caused by a limit names the limit and its value."""

    form_bytes: int = 2 * 2**20
    upload_memory_bytes: int = 5 * 2**20  # larger uploads go to a file
    verify_bytes: int = 500 * 2**20
    verify_inline_bytes: int = 50 * 2**20  # a larger file is examined by a worker, and the answer is polled
    verify_inline_pixels: int = 1920 * 1080 * 900  # pixels times frames: 30 s of HD, about 20 s of one core
    verify_seconds: float = 120.0  # after that an examination is given up
    verify_at_once: int = 2  # examinations in one process
    verify_per_hour: int = 60
    requests_per_minute: int = 600
    jobs_active_per_studio: int = 50
    previews_per_day: int = 200  # of one studio; a day begins at midnight UTC
    preview_pairs_per_day: int = 40  # different pairs of portrait and performance that one studio previews
    preview_wait_seconds: float = 10.0  # for one's turn: about what the start of the engine takes on a busy machine
    preview_seconds: float = 20.0  # for one frame, with the start of the engine and the preparation of the source
    page_size: int = 50


# the one table of limits
MEDIA_LIMITS = MediaLimits()
REQUEST_LIMITS = RequestLimits()

INSTALLED_APPS = [
    "settings",
    "audit",
    "users",
    "consent",
    "provenance",
    "generation",
    "moderation",
    "portal",
    "rest_framework",
    "drf_spectacular",
    "whitenoise.runserver_nostatic",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "portal.security.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "portal.streaming.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.problems.ProblemPages",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "settings.wsgi.application"
ASGI_APPLICATION = "settings.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": parse_database_url(
        env.secret("DATABASE_URL", "") or embedded.database_url(VAR_DIR), pool=env.boolean("DATABASE_POOL", False)
    ),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "users.User"
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", VAR_DIR / "static")
DATA_UPLOAD_MAX_MEMORY_SIZE = REQUEST_LIMITS.form_bytes
FILE_UPLOAD_MAX_MEMORY_SIZE = REQUEST_LIMITS.upload_memory_bytes

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "portal.api.errors.handle",
    # how many proxies of ours add to X-Forwarded-For; with 0 the header is not believed
    "NUM_PROXIES": env.integer("TRUSTED_PROXIES", 0),
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Portrait animation whose every output is consented to, signed and watermarked.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
}

# a stage that shows no life for this long is taken over; its worker renews the lease three times as often
JOB_LEASE_SECONDS = env.integer("JOB_LEASE_SECONDS", 30)
JOB_MAX_ATTEMPTS = env.integer("JOB_MAX_ATTEMPTS", 12)  # over all stages; a healthy job takes four
WAITING_JOB_DAYS = env.integer("WAITING_JOB_DAYS", 14)  # a cleared job that nobody starts is cancelled after so long
# where engines run: `cpu`, `cuda`, `cuda:1` ...
ENGINE_DEVICE = env.text("ENGINE_DEVICE", "cpu")
PREVIEW_DEVICE = env.text("PREVIEW_DEVICE", "cpu")  # previews are rendered beside the site, which often has no GPU

# keeps the queues of test runs apart; empty in ordinary use
BROKER_PREFIX = env.text("COUNTERSIGN_BROKER_PREFIX", "")
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker_settings(VAR_DIR, BROKER_PREFIX)
SWEEP_INTERVAL_S = env.integer("SWEEP_INTERVAL_SECONDS", 10)

# the recognition model of the consent gate: `dlib`, or `insightface` with a model pack that the operator supplies
FACE_ENGINE = env.text("FACE_ENGINE", "dlib")
INSIGHTFACE_ROOT = env.text("INSIGHTFACE_ROOT", "")
INSIGHTFACE_PACK = env.text("INSIGHTFACE_PACK", "buffalo_l")

VERSION = "0.1.0"
CLAIM_GENERATOR = "Countersign"
# an RFC 3161 time-stamping authority keeps signatures valid beyond the certificate's end
TIMESTAMP_AUTHORITY_URL = env.text("TIMESTAMP_AUTHORITY_URL", "") or None
# reverse DNS, as the registry of soft-binding algorithms asks
SOFT_BINDING_ALG = env.text("SOFT_BINDING_ALG", "org.countersign.video.2")
# who derives watermark keys from the master secret: a class as in `provenance.keys.KeySource`, for one in a KMS
WATERMARK_KEY_SOURCE = env.text("WATERMARK_KEY_SOURCE", "provenance.keys.MasterKey")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    # standard error: the last line of standard output belongs to the answer of a command
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "WARNING")},
}
