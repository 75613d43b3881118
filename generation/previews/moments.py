"""Which moments of a performance may be previewed: few, spread out, and chosen by the server. Pure.

They depend on the performance alone: another job made of it shows the same ones, so frames that follow each other cannot be
collected (misuse register A4).
"""

from __future__ import annotations

import hmac

MOST = 12
SPACING_S = 0.5
SLACK = 0.5  # of a moment's share of the clip is left to chance; the rest keeps neighbours apart


def moments(duration_s: float, key: bytes) -> tuple[float, ...]:
    """Seconds of the clip, ascending: one in each of up to twelve equal shares of it, placed there by the key.

    Neighbours are at least a quarter of a second apart.
    """
    count = max(1, min(MOST, int(duration_s / SPACING_S)))
    share_s = duration_s / count
    chances = (int.from_bytes(part, "big") / 2**32 for part in _four_bytes(hmac.digest(key, b"previews/moments", "sha512")))
    return tuple(round((number + (1 - SLACK) / 2 + SLACK * next(chances)) * share_s, 3) for number in range(count))


def _four_bytes(digest: bytes) -> list[bytes]:
    return [digest[start : start + 4] for start in range(0, len(digest), 4)]
