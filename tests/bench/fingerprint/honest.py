"""Honest copies and views: how many agree, and that none contradicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from provenance.fingerprint.compare import compare
from provenance.signals import Agreement, PictureSignal
from tests.bench.fingerprint.copies import AGREEABLE, HONEST, PLAIN, Copy, kept
from tests.bench.fingerprint.material import Piece
from tests.bench.fingerprint.rates import rate


def measure(pieces: Sequence[Piece], *, every: int = 1) -> dict[str, Any]:
    """Each `every`th clip in each view against its own record."""
    rows, contradictions = {}, []
    for copy in (*AGREEABLE, *HONEST):
        signals = [view(piece, pieces, copy) for piece in pieces[::every]]
        rows[copy.name] = dict(Counter(signal.agreement.value for signal in signals))
        contradictions += [signal.agreement is Agreement.CONTRADICTS for signal in signals]
        print(f"{copy.name:40} {rows[copy.name]}", flush=True)
        for piece, signal in zip(pieces[::every], signals, strict=True):
            if signal.agreement is not Agreement.AGREES:
                worst = [(second.distance, second.regions) for second in signal.seconds]
                print("   ", signal.agreement.value, piece.name, signal.motion_correlation, signal.note, worst, flush=True)
    return {"views": rows, "false_contradiction": rate(contradictions)}


def view(piece: Piece, pieces: Sequence[Piece], copy: Copy) -> PictureSignal:
    """A copy compared with its clip; insets lie in another clip."""
    around = next((other for other in reversed(pieces) if other.portrait != piece.portrait), piece)
    return compare(kept(piece.path, copy, around=around.path if "[1:v]" in copy.filters else None), kept(piece.path, PLAIN))
