"""How the parts of the animation benchmark report: one line of JSON each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

DIGITS = 4


def as_json(bench: str, figures: Mapping[str, object]) -> str:
    """One line of JSON; what could not be measured is null."""
    return json.dumps({"bench": bench, **{name: _plain(value) for name, value in figures.items()}})


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
