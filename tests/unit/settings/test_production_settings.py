"""Production refuses every default that would be unsafe there, and names the variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import checks, embedded

ROOT = Path(__file__).resolve().parents[3]


def load(folder: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Load the production settings in a process of its own, with a filled-in environment but for the changes."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    environment |= checks.production_environment(folder)
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    code = "import settings.production as p; print(p.DEVELOPMENT, p.DEBUG, p.SESSION_COOKIE_SECURE)"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_a_filled_in_environment_is_accepted(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.stderr == ""
    assert loaded.stdout.split() == ["False", "False", "True"]


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DATABASE_URL",
        "ALLOWED_HOSTS",
        "SITE_URL",
        "TEMPLATE_MASTER_KEY",
        "WATERMARK_MASTER_KEY",
        "MOTION_PUBLIC_KEYS",
        "COUNTERSIGN_VAR",
        "STORE_DIR",
        "PKI_DIR",
        "STATIC_ROOT",
    ],
)
def test_what_has_a_default_in_development_must_be_set(tmp_path: Path, name: str) -> None:
    loaded = load(tmp_path, **{name: None})
    assert loaded.returncode != 0
    assert f"EnvironmentProblem: {name}: is not set" in loaded.stderr


def test_a_broker_must_be_named(tmp_path: Path) -> None:
    loaded = load(tmp_path, AMQP_URL=None)
    assert "EnvironmentProblem: REDIS_URL: is not set, nor is AMQP_URL" in loaded.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "1"),
        ("SECRET_KEY", "short"),
        ("ALLOWED_HOSTS", "*"),
        ("SITE_URL", "http://countersign.invalid"),
        ("DATABASE_URL", "sqlite:///db"),
        ("DATABASE_URL", embedded.database_url(ROOT / "var")),
        ("TEMPLATE_MASTER_KEY", "c2hvcnQ="),
        ("MOTION_PUBLIC_KEYS", "c2hvcnQ="),
    ],
    ids=lambda value: value[:24],
)
def test_a_value_that_is_unsafe_there_is_refused(tmp_path: Path, name: str, value: str) -> None:
    loaded = load(tmp_path, **{name: value})
    assert loaded.returncode != 0
    assert f"EnvironmentProblem: {name}: " in loaded.stderr


def test_secrets_can_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 60)
    loaded = load(tmp_path, SECRET_KEY=None, SECRET_KEY_FILE=str(tmp_path / "secret"))
    assert loaded.returncode == 0
