"""Are outputs told apart? Every clip, mirrored, cropped and encoded again, looked up among all, then compared in full."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from provenance.fingerprint.compare import compare
from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint_index import top_matches
from provenance.fusion import Content, fuse
from provenance.signals import Agreement, MarkSignal, PictureSignal
from tests.bench.fingerprint.copies import PLAIN, TOLD_APART, kept
from tests.bench.fingerprint.material import Piece
from tests.bench.fingerprint.rates import rate
from tests.bench.fingerprint.records import add_records

Row = dict[str, Any]
RIVALS = 1  # nearest wrong matches, with which `agrees` would be a false vouching


def look_up(pieces: Sequence[Piece]) -> Row:
    """Every copy looked up in the index of all clips, and then judged as `verify` does where no mark was found.

    A confusion is a copy whose first match is another clip. `verify` compares with each match in full and takes the strongest.
    """
    keys = add_records([kept(piece.path, PLAIN) for piece in pieces])
    names = {key: piece.name for key, piece in zip(keys, pieces, strict=True)}
    records = {key: kept(piece.path, PLAIN) for key, piece in zip(keys, pieces, strict=True)}
    confused, offsets, hands, spent, judged, agreed = [], [], 0, [], [], []
    for key, piece in zip(keys, pieces, strict=True):
        query = kept(piece.path, TOLD_APART)
        began = time.process_time()
        found = top_matches(query)
        spent.append(time.process_time() - began)
        judged.append(_judged(query, key))
        others = [match.record_id for match in found if match.record_id != key][:RIVALS]
        agreed += [[piece.name, names[other]] for other in others if _agrees(query, records[other])]
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
        "verify_finds": dict(Counter(judged)),
        "agrees_with_another": agreed,
    }


def _judged(query: VideoFingerprint, key: uuid.UUID) -> str:
    """What `verify` makes of a copy without a mark: whose it is, and how sure that is."""
    unmarked = MarkSignal(found=False)
    fused = fuse(Content(unmarked, query, None, several_streams=False), unmarked, None, frozenset())
    whose = "nobody's" if fused.found is None else "right" if fused.found.pk == key else "wrong"
    return f"{whose}, {fused.picture.agreement.value}"


def _agrees(query: VideoFingerprint, record: VideoFingerprint) -> bool:
    return compare(query, record).agreement is Agreement.AGREES


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
