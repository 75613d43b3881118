"""Error rates that say how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def rate(events: Sequence[bool]) -> dict[str, Any]:
    """How many, of how many, and below what the rate lies with 95% confidence (rule of three where there is none)."""
    count, total = sum(events), len(events)
    share = count / total if total else float("nan")
    above = 3 / total if total and not count else share + 1.96 * (share * (1 - share) / max(1, total)) ** 0.5
    return {"count": count, "of": total, "below": round(above, 4) if total else None}
