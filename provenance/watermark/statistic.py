"""How surprising an agreement is, and how much surprise is asked for.

Null hypothesis: the video is innocent, made without the key. Its evidence y_1..y_n, whatever it is, was then chosen without the
key's signs, which a SHA-256 counter stream makes: to anybody without the key they are independent fair coins s_i. Limits and
weights on y use magnitudes only, and the tile's place is chosen by the lattice's power and by chips of other streams, so
neither looks at s.

One word c with signs c_i = +-1: the agreement is t = sum s_i c_i y_i, and s_i c_i are fair coins again. For every lambda >= 0,
by Markov's inequality on exp(lambda t) and the independence of the coins,

    P(t >= T) <= exp(-lambda T) prod E exp(lambda s_i c_i y_i) = exp(-(lambda T - sum ln cosh(lambda y_i))),

so P(t >= T) <= exp(-L(T)) with L(T) the maximum over lambda (Chernoff 1952). Because L rises with T, P(L(t) >= x) <= exp(-x): the
evidence is its own bound. Pilots are no part of y: they would speak for every id of their key, right or wrong.

A search looks at many words and takes the best. By the union bound its chance of a false answer is at most exp(-x) times the
number of (place, word, key) triples: at most 64 places a window, 2^64 words of a free decode or the ids that were issued, and
every key tried, though pilots rule most out. A stream is searched window after window; the n-th search is allowed 1/n^2 of
the budget of one (hence 2 ln n), so a stream of any length is falsely accepted with at most pi^2/6 x 1e-9 < 1.7e-9.

The bound speaks of innocent video, not of forgery: who holds a key or a marked copy can make a mark.
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
    """ln of the number of words one answer may have been picked from: decodes x words x keys x windows squared.

    ids: how many issued ids were compared, or None for a free decode over all 2^64 payloads.
    """
    words = PAYLOAD_BITS * math.log(2.0) if ids is None else math.log(max(1, ids))
    return math.log(MAX_DECODES) + words + math.log(max(1, keys)) + 2.0 * math.log(max(1, windows))


def required_evidence(searched: float) -> float:
    """L from which a match is accepted, in nats (69.2 for one key, one window and a free decode)."""
    return searched - math.log(FALSE_MATCH_PROBABILITY)


def false_match_probability(evidence: float, searched: float) -> float:
    """Bound on the chance that an unmarked video shows this much evidence in the search that was made."""
    return math.exp(min(0.0, searched - evidence))
