"""Finds the Chromium that the browser tests drive, and installs Debian's when that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None. `CHROMIUM` names another."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return shutil.which(chosen)
    return next((path for path in map(shutil.which, NAMES) if path), None)


def find_or_install() -> str | None:
    """Return an installed Chromium; when there is none and we are root on a Debian system, install it first."""
    found = find()
    apt = shutil.which("apt-get")
    if found or apt is None or os.geteuid() != 0:
        return found
    print("Installing Chromium for the browser tests.", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "chromium"]):
        # a failure leaves the browser tests skipped, which is said at the end
        subprocess.run([apt, *command], env=environment, stdout=sys.stderr, check=False)
    return find()
