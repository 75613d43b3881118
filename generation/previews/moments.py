"""Which moments of a performance may be previewed: few, spread out, and chosen by the server. Pure.

They lie on one grid of seconds per studio, whatever the performance and however long it is: cutting frames off its end shows no
other moments. Cutting frames off its start does move it along the grid; against collecting frames in that way stand the quotas
of previews and of pairs of inputs, and the marks (misuse register A4).
"""

from __future__ import annotations

import hmac

MOST = 12
CELL_S = 0.5  # one moment in each, at the most
SLACK = 0.5  # of a cell is left to chance; the rest keeps neighbours apart


def moments(duration_s: float, key: bytes) -> tuple[float, ...]:
    """Seconds of the clip, ascending: at most twelve of the key's grid, evenly chosen; the start of a clip too short for any.

    key: of the studio, secret. Neighbours are at least a quarter of a second apart.
    """
    cells = int(duration_s / CELL_S)
    every = max(1, -(-cells // MOST))
    return tuple(_in_cell(number, key) for number in range(every // 2, cells, every)) or (0.0,)


def _in_cell(number: int, key: bytes) -> float:
    digest = hmac.digest(key, b"previews/moment %d" % number, "sha256")
    chance = int.from_bytes(digest[:4], "big") / 2**32
    return round((number + (1 - SLACK) / 2 + SLACK * chance) * CELL_S, 3)
