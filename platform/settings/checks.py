"""`./dev check`: everything that judges the code without running the product."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
ROOMS = ("platform", "consent", "generation", "provenance", "manage.py")


@dataclass(frozen=True, slots=True)
class Check:
    """One tool: its name in the summary, its command, and what it needs in the environment."""

    name: str
    command: list[str]
    extra: Mapping[str, str] = field(default_factory=dict)


def run_all(environment: Mapping[str, str]) -> int:
    """Run every check, print which failed, and return 0 only when none did."""
    with tempfile.TemporaryDirectory() as folder:
        failed = [check.name for check in _checks(Path(folder)) if not _passes(check, environment)]
    print(f"check: failed: {', '.join(failed)}" if failed else "check: all clean", flush=True)
    return 1 if failed else 0


def production_environment(folder: Path) -> dict[str, str]:
    """Return a filled-in environment of a production site, with invented values."""
    return {
        "DJANGO_SETTINGS_MODULE": "settings.production",
        "SECRET_KEY": "".join(chr(33 + 7 * index % 90) for index in range(64)),
        "DATABASE_URL": "postgresql://countersign:invented@database.invalid/countersign",
        "AMQP_URL": "amqp://countersign:invented@broker.invalid/",
        "ALLOWED_HOSTS": "countersign.invalid",
        "SITE_URL": "https://countersign.invalid",
        "TEMPLATE_MASTER_KEY": base64.b64encode(bytes(range(32))).decode(),
        "WATERMARK_MASTER_KEY": base64.b64encode(bytes(range(32, 64))).decode(),
        "MOTION_PUBLIC_KEYS": base64.b64encode(bytes(range(64, 96))).decode(),
        "COUNTERSIGN_VAR": str(folder),
        "STORE_DIR": str(folder / "store"),
        "PKI_DIR": str(folder / "pki"),
        "STATIC_ROOT": str(folder / "static"),
    }


def _checks(folder: Path) -> list[Check]:
    manage = [sys.executable, "manage.py"]
    deploy = ["check", "--deploy", "--fail-level", "WARNING"]
    return [
        Check("ruff", [str(SCRIPTS / "ruff"), "check", "."]),
        Check("format", [str(SCRIPTS / "ruff"), "format", "--check", "."]),
        Check("mypy", [str(SCRIPTS / "mypy"), *ROOMS]),
        Check("imports", [str(SCRIPTS / "lint-imports"), "--no-cache"]),
        Check("deploy", [*manage, *deploy], production_environment(folder)),
        Check("migrations", [*manage, "makemigrations", "--check", "--dry-run"]),
    ]


def _passes(check: Check, environment: Mapping[str, str]) -> bool:
    print(f"== {check.name}", flush=True)
    done = subprocess.run(check.command, cwd=ROOT, env={**environment, **check.extra}, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0
