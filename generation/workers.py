"""Makes sure that somebody works on the queues while a command waits for its job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from settings import processes

EVERY_QUEUE = (*processes.WORK_QUEUES, *processes.SIGN_QUEUES)


@contextmanager
def workers_running() -> Iterator[None]:
    """Use the live workers of this checkout, or run two of our own for as long as the block lasts."""
    if processes.covered(settings.VAR_DIR, EVERY_QUEUE):
        yield
        return
    with processes.workers(os.environ):
        yield
