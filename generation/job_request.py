"""What may be asked of a job: the purposes, the options with their ranges, and the digest that makes a request idempotent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from consent.policy import PURPOSES
from consent.territories import COUNTRIES
from generation.engines.base import Options
from generation.errors import InvalidRequest

OPTION_RANGES: dict[str, tuple[float, float]] = {
    "expression_gain": (0.0, 1.5),
    "head_motion": (0.0, 1.5),
    "gaze": (0.0, 1.0),
    "smoothing": (0.0, 2.0),
    "reference_frame": (0, 10**6),
    "seed": (0, 2**31 - 1),
}
WHOLE_NUMBERS = frozenset({"reference_frame", "seed"})


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Everything a studio decides about a job, apart from the two files."""

    purpose: str
    engine: str
    territories: tuple[str, ...] = ()
    declared_fictional: bool = False
    options: Mapping[str, float | int] = field(default_factory=dict)
    named_consents: Mapping[str, str] = field(default_factory=dict)
    propose_consents: bool = True


def check_request(request: JobRequest, known_engines: Sequence[str]) -> None:
    """Raise InvalidRequest, naming what is wrong and what is allowed."""
    if request.purpose not in PURPOSES:
        raise InvalidRequest(f"Unknown purpose {request.purpose!r}; choose one of: {', '.join(sorted(PURPOSES))}.")
    if request.engine not in known_engines:
        raise InvalidRequest(f"Unknown engine {request.engine!r}; choose one of: {', '.join(sorted(known_engines))}.")
    for code in request.territories:
        if code not in COUNTRIES:
            raise InvalidRequest(f"Unknown territory {code!r}; give two-letter country codes such as DE or US.")
    parse_options(request.options)


def parse_options(values: Mapping[str, Any]) -> Options:
    """Engine options from plain values. Raises InvalidRequest for an unknown name, a wrong type or a value out of range."""
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in OPTION_RANGES:
            raise InvalidRequest(f"Unknown option {name!r}; choose from: {', '.join(OPTION_RANGES)}.")
        parsed[name] = _number(name, value)
    return Options(**parsed)


def _number(name: str, value: Any) -> float | int:
    low, high = OPTION_RANGES[name]
    try:
        number = int(value) if name in WHOLE_NUMBERS else float(value)
    except (TypeError, ValueError):
        raise InvalidRequest(f"Option {name} must be a number from {low:g} to {high:g}.") from None
    if not low <= number <= high:
        raise InvalidRequest(f"Option {name} must lie from {low:g} to {high:g}, not {number:g}.")
    return number


def option_values(options: Options) -> dict[str, Any]:
    """Plain values of the options that differ from their defaults."""
    return {item.name: getattr(options, item.name) for item in fields(options) if getattr(options, item.name) != item.default}


def request_digest(request: JobRequest, portrait_sha256: str, driving_sha256: str) -> str:
    """SHA-256 over the request and both uploads: equal digests mean the same request."""
    content = {**asdict(request), "portrait": portrait_sha256, "driving": driving_sha256}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
