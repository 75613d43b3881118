"""Are outputs told apart? Every clip, mirrored, cropped and encoded again, looked up among all, then compared in full."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from provenance.fingerprint.compare import compare
from provenance.fingerprint_index import top_matches
from provenance.signals import Agreement, PictureSignal
from tests.bench.fingerprint.copies import PLAIN, TOLD_APART, kept
from tests.bench.fingerprint.material import Piece
from tests.bench.fingerprint.rates import rate
from tests.bench.fingerprint.records import add_records

Row = dict[str, Any]


def look_up(pieces: Sequence[Piece]) -> Row:
    """Every copy looked up in the index of all clips. A confusion is a copy whose first match is another clip."""
    keys = add_records([kept(piece.path, PLAIN) for piece in pieces])
    names = {key: piece.name for key, piece in zip(keys, pieces, strict=True)}
    confused, offsets, hands, spent = [], [], 0, []
    for key, piece in zip(keys, pieces, strict=True):
        query = kept(piece.path, TOLD_APART)
        began = time.process_time()
        found = top_matches(query)
        spent.append(time.process_time() - began)
        if not found or found[0].record_id != key:
            confused.append([piece.name, names[found[0].record_id] if found else None])
            continue
        offsets.append(abs(found[0].offset_s))
        hands += found[0].mirrored
    return {
        "clips": len(pieces),
        "confused": confused,
        "mirroring_seen": hands,
        "offset_error_median_s": round(float(np.median(offsets)), 3),
        "offset_error_worst_s": round(float(np.max(offsets)), 3),
        "client_cpu_ms": round(1000 * float(np.mean(spent)), 1),
    }


def compare_pairs(pieces: Sequence[Piece], *, every: int = 1) -> Row:
    """Each `every`th copy against its own clip and against one of the same portrait, of the same driver, and of neither."""
    chance = np.random.default_rng(4)
    results: dict[str, list[PictureSignal]] = {"own": [], "same portrait": [], "same driver": [], "neither": []}
    spent = 0.0
    for piece in pieces[::every]:
        query = kept(piece.path, TOLD_APART)
        for kind, other in _rivals(piece, pieces, chance):
            record = kept(other.path, PLAIN)
            began = time.process_time()
            results[kind].append(compare(query, record))
            spent += time.process_time() - began
    rows = {kind: _tally(signals) for kind, signals in results.items()}
    others = [signal for kind, signals in results.items() if kind != "own" for signal in signals]
    return {
        "pairs": rows,
        "false_contradiction": rate([signal.agreement is Agreement.CONTRADICTS for signal in results["own"]]),
        "false_agreement": rate([signal.agreement is Agreement.AGREES for signal in others]),
        "false_agreement_of_seconds": rate(
            [second.agreement is Agreement.AGREES for signal in others for second in signal.seconds]
        ),
        "cpu_ms_per_comparison": round(1000 * spent / max(1, sum(len(signals) for signals in results.values()))),
    }


def _rivals(piece: Piece, pieces: Sequence[Piece], chance: np.random.Generator) -> list[tuple[str, Piece]]:
    groups = {
        "own": [piece],
        "same portrait": [other for other in pieces if other.portrait == piece.portrait and other != piece],
        "same driver": [other for other in pieces if other.driver == piece.driver and other != piece],
        "neither": [other for other in pieces if other.portrait != piece.portrait and other.driver != piece.driver],
    }
    return [(kind, group[chance.integers(len(group))]) for kind, group in groups.items() if group]


def _tally(signals: Sequence[PictureSignal]) -> Row:
    motions = [signal.motion_correlation for signal in signals if signal.motion_correlation is not None]
    layouts = [signal.layout_correlation for signal in signals if signal.layout_correlation is not None]
    return {
        **dict(Counter(signal.agreement.value for signal in signals)),
        "motion_5_50_95": [round(float(value), 2) for value in np.percentile(motions, [5, 50, 95])] if motions else None,
        "picture_5_50_95": [round(float(value), 3) for value in np.percentile(layouts, [5, 50, 95])] if layouts else None,
    }
