"""Keeps the embedded database's tables up to date, and knows without starting Django when there is nothing to do."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

from . import postgres

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("platform", "consent", "generation", "provenance")


def migrate_if_needed(var_dir: Path, migrate: Callable[[], int]) -> int:
    """Call `migrate` unless it succeeded before for these migrations and this database; return its exit code."""
    wanted = _fingerprint(var_dir)
    with (var_dir / "run" / "migrated").open("a+") as stamp:
        # of several first calls one migrates and the others wait
        fcntl.flock(stamp, fcntl.LOCK_EX)
        stamp.seek(0)
        if stamp.read() == wanted:
            return 0
        code = migrate()
        if code == 0:
            stamp.truncate(0)
            stamp.write(wanted)
        return code


def _fingerprint(var_dir: Path) -> str:
    digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    # written once, when the data folder is made: a new database is told from the old one by it
    digest.update(str((postgres.places(var_dir).data / "PG_VERSION").stat().st_mtime_ns).encode())
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("migrations/*.py")):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
