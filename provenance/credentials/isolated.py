"""Reads the manifest of an untrusted file in a process of its own, under limits of time and memory.

The library is native code that parses what strangers send. Run as `python -m provenance.credentials.isolated PATH`, with the
anchors on standard input, it prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from provenance.credentials.read import read_manifest
from provenance.signals import ManifestReading, ManifestState, SoftBinding

CPU_SECONDS = 60  # a file of 500 MB is hashed in two
WALL_SECONDS = 120.0
MEMORY_BYTES = 2 * 2**30
_PACKAGES = (Path(__file__).parents[2], Path(__file__).parents[2] / "platform")


def read_untrusted(path: Path, *, anchors_pem: str) -> ManifestReading:
    """Like `read_manifest`, but nothing in the file can hurt this process: what breaks the child reads as `unreadable`."""
    command = [sys.executable, "-P", "-m", "provenance.credentials.isolated", str(path.resolve())]
    environment = {"PYTHONPATH": ":".join(str(folder) for folder in _PACKAGES), "PATH": "/usr/bin:/bin"}
    try:
        child = subprocess.run(
            command, input=anchors_pem, capture_output=True, text=True, timeout=WALL_SECONDS, env=environment, check=True
        )
        return _from_json(json.loads(child.stdout))
    except subprocess.TimeoutExpired:
        return ManifestReading(ManifestState.UNREADABLE, note="reading the manifest took too long")
    except (subprocess.CalledProcessError, ValueError, KeyError, TypeError):
        return ManifestReading(ManifestState.UNREADABLE, note="reading the manifest failed")


def _from_json(values: dict[str, Any]) -> ManifestReading:
    bindings = tuple(
        SoftBinding(item["alg"], item["value"], tuple((start, end) for start, end in item["spans_ms"]))
        for item in values["soft_bindings"]
    )
    fixed = {
        "state": ManifestState(values["state"]),
        "codes": tuple(values["codes"]),
        "ingredients": tuple(values["ingredients"]),
        "soft_bindings": bindings,
    }
    return ManifestReading(**(values | fixed))


def main() -> None:
    """The child: limits first, then the file."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reading = read_manifest(Path(sys.argv[1]), anchors_pem=sys.stdin.read())
    sys.stdout.write(json.dumps(asdict(reading)))


if __name__ == "__main__":
    main()
