"""One request on standard input, its answer on standard output: see `wire`. Runs under its own resource limits."""

from __future__ import annotations

import json
import os
import resource
import sys

import av.logging

from media.decoder.operations import Answer
from media.decoder.wire import Header, send
from media.errors import BadInput
from media.limits import MediaLimits

LOG_BYTES_MAX = 1 << 20
OPEN_FILES_MAX = 64


def confine(limits: MediaLimits) -> None:
    """Bound this process for good: memory, processor time, files. No core dumps, which would keep people's pictures."""
    bounds = {
        resource.RLIMIT_AS: limits.decode_memory_bytes,
        resource.RLIMIT_CPU: limits.decode_cpu_seconds,
        resource.RLIMIT_FSIZE: LOG_BYTES_MAX,
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))


def main() -> int:
    """Answer the request. A refusal is an answer too: only a fault of this program exits with an error."""
    request: Header = json.load(sys.stdin)
    limits = MediaLimits(**request["limits"])
    confine(limits)
    av.logging.set_level(None)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    try:
        Answer(request, limits, out).give(request["operation"])
    except BadInput as refusal:
        send(out, {"kind": "refused", "message": refusal.message})
    except MemoryError:
        send(out, {"kind": "refused", "message": "the file needs too much memory to decode; scale it down first"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
