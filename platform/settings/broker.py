"""From the environment to Celery's broker settings: RabbitMQ, Redis, or a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import embedded, env

# a task may run this long before Redis hands it to a second worker; leases in the database decide who may work, not this
VISIBILITY_TIMEOUT_S = 3600


def broker_settings(var_dir: Path, prefix: str) -> tuple[str, dict[str, Any]]:
    """Return Celery's broker address and transport options.

    Args: prefix: keeps the queues of test runs apart on one server; empty in ordinary use.
    """
    amqp = env.secret("AMQP_URL", "")
    if amqp:
        return amqp, {}
    url = env.secret("REDIS_URL", "") or embedded.broker(var_dir).url
    if url.startswith("filesystem:"):
        return url, _folder_options(var_dir, prefix)
    options: dict[str, Any] = {"visibility_timeout": VISIBILITY_TIMEOUT_S}
    if prefix:
        options["global_keyprefix"] = f"{prefix}:"
    return url, options


def _folder_options(var_dir: Path, prefix: str) -> dict[str, Any]:
    root = env.path("COUNTERSIGN_BROKER_DIR", var_dir / "broker") / (prefix or "main")
    return {
        # one folder for both directions: every process reads what any process wrote
        "data_folder_in": str(root / "messages"),
        "data_folder_out": str(root / "messages"),
        "control_folder": str(root / "control"),
        "polling_interval": 0.1,
    }
