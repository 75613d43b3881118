"""How surprising an agreement is, and how much surprise is asked for.

For any unmarked video the keyed signs are independent fair coins, whatever its pixels. With evidence y and a word c,
t = sum y_i c_i exceeds its value with probability at most exp(-L), L = max over lambda >= 0 of
lambda t - sum ln cosh(lambda y_i) (Chernoff). The bound speaks of innocent video, not of forgery.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .codec import Floats
from .schemes import PAYLOAD_BITS

MAX_DECODES = 64
FALSE_MATCH_PROBABILITY = 1e-9
_BISECTIONS = 40


def log_evidence(values: Floats, agreement: float) -> float:
    """L in nats for dimensions `values` and t = `agreement`; 0 when there is no agreement."""
    y: npt.NDArray[np.float64] = np.abs(values).astype(np.float64)
    total = float(y.sum())
    if agreement <= 0.0 or total <= 0.0:
        return 0.0
    t = min(agreement, total * (1.0 - 1e-9))
    low, high = 0.0, 1.0
    while float((y * np.tanh(high * y)).sum()) < t and high < 2.0**20:
        high *= 2.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float((y * np.tanh(middle * y)).sum()) < t else (low, middle)
    x = low * y
    log_cosh = x + np.log1p(np.exp(-2.0 * x)) - math.log(2.0)
    return max(0.0, float(low * t - log_cosh.sum()))


def log_searched(*, ids: int | None, keys: int, windows: int) -> float:
    """ln of the number of words one answer may have been picked from: decodes x words x keys x windows.

    ids: how many issued ids were compared, or None for a free decode over all 2^64 payloads.
    """
    words = PAYLOAD_BITS * math.log(2.0) if ids is None else math.log(max(1, ids))
    return math.log(MAX_DECODES) + words + math.log(max(1, keys)) + math.log(max(1, windows))


def required_evidence(searched: float) -> float:
    """L from which a match is accepted, in nats (69.2 for one key, one window and a free decode)."""
    return searched - math.log(FALSE_MATCH_PROBABILITY)


def false_match_probability(evidence: float, searched: float) -> float:
    """Bound on the chance that an unmarked video shows this much evidence in the search that was made."""
    return math.exp(min(0.0, searched - evidence))
