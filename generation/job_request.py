"""What may be asked of a job: the purposes, the territories, the options, and the digest that makes a request idempotent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from consent.policy import PURPOSES
from consent.territories import COUNTRIES
from generation.errors import InvalidRequest
from generation.options import parse_options

CONSENTS_MAX = 512  # more faces than the surveys of all inputs let pass


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Everything a studio decides about a job, apart from its files and who moves whom."""

    purpose: str
    engine: str
    territories: tuple[str, ...] = ()
    declared_fictional: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    named_consents: Mapping[str, str] = field(default_factory=dict)
    propose_consents: bool = True
    wait_for_start: bool = False  # stay cleared, for previews, until somebody starts it


def check_request(request: JobRequest, known_engines: Sequence[str]) -> None:
    """Raise InvalidRequest, naming what is wrong and what is allowed."""
    if request.purpose not in PURPOSES:
        raise InvalidRequest(f"Unknown purpose {request.purpose!r}; choose one of: {', '.join(sorted(PURPOSES))}.")
    if request.engine not in known_engines:
        raise InvalidRequest(f"Unknown engine {request.engine!r}; choose one of: {', '.join(sorted(known_engines))}.")
    for code in request.territories:
        if code not in COUNTRIES:
            raise InvalidRequest(f"Unknown territory {code!r}; give two-letter country codes such as DE or US.")
    if len(request.named_consents) > CONSENTS_MAX:
        raise InvalidRequest(f"A request names {CONSENTS_MAX} consents at most; name those of faces that the files show.")
    parse_options(request.options)


def request_digest(
    request: JobRequest, portrait_sha256: str, driving_sha256: str, cast: Sequence[tuple[str, int, int]] = ()
) -> str:
    """SHA-256 over the request and all uploads: equal digests mean the same request.

    cast: per member the upload's SHA-256, the driving face and the face it moves.
    """
    content = {**asdict(request), "portrait": portrait_sha256, "driving": driving_sha256, "cast": list(cast)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
