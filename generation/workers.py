"""Makes sure that somebody works on the queues while a command waits for its job.

What workers of its own say goes to a file: between the lines of a command it would hide what the command says.
"""

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
    path = settings.VAR_DIR / "run" / "workers.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log, processes.workers(os.environ, log=log):
        yield
