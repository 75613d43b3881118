"""Which seconds of a file are whose, and what holds for them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from provenance.signals import Agreement, Piece, SecondState, Signals, SoundSignal, SoundState


class Verdict(StrEnum):
    """The one vocabulary of the product."""

    CONFIRMED = "confirmed"
    RECOVERED = "recovered"
    ALTERED = "altered"
    TRANSPLANTED = "transplanted"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


_OURS = frozenset({Verdict.CONFIRMED, Verdict.RECOVERED, Verdict.ALTERED})
_TAIL_S = 0.1  # the last frames of a clip are no second of their own


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the file, in seconds, with a verdict of its own and the record that it is of, if of any."""

    start_s: float
    end_s: float
    verdict: Verdict
    watermark_id: str | None = None


def timeline(verdict: Verdict, watermark_id: str | None, signals: Signals) -> tuple[Span, ...]:
    """Spans of one verdict and one record, neighbours joined, without holes. Only an altered file differs from second to second.

    verdict, watermark_id: of the file as a whole.
    """
    if verdict is Verdict.ALTERED and signals.pieces:
        return tuple(_joined(_of_pieces(signals.pieces, signals.duration_s)))
    if verdict is Verdict.ALTERED and signals.picture.seconds:
        return tuple(_joined(_of_seconds(signals, watermark_id)))
    return (Span(0.0, signals.duration_s, verdict, watermark_id if verdict in _OURS else None),)


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    current: Span | None = None
    for span in spans:
        if current and (current.verdict, current.watermark_id) == (span.verdict, span.watermark_id):
            current = replace(current, end_s=span.end_s)
            continue
        if current:
            yield current
        current = span
    if current:
        yield current


def _of_seconds(signals: Signals, watermark_id: str | None) -> Iterator[Span]:
    for index, second in enumerate(signals.picture.seconds):
        verdict = _second_verdict(index, second, signals)
        yield Span(second.start_s, second.end_s, verdict, watermark_id if verdict in _OURS else None)


def _second_verdict(index: int, second: SecondState, signals: Signals) -> Verdict:
    marked = any(start < second.end_s and end > second.start_s for start, end in signals.mark.segments_s)
    if second.agreement is Agreement.NONE and not marked:
        return Verdict.UNKNOWN
    if second.agreement is not Agreement.AGREES or _sound_spoils(index, signals.sound) or signals.mark.compromised:
        return Verdict.ALTERED
    return Verdict.RECOVERED if marked else Verdict.ALTERED


def _of_pieces(pieces: Sequence[Piece], duration_s: float) -> Iterator[Span]:
    """Second by second; where stretches meet or lie over each other, the one whose content agrees."""
    count = max(1, math.ceil(duration_s - _TAIL_S))
    for number in range(count):
        start_s, end_s = float(number), duration_s if number + 1 == count else number + 1.0
        middle_s = (start_s + end_s) / 2
        here = [_piece_second(piece, middle_s) for piece in pieces if piece.start_s <= middle_s < piece.end_s]
        agreeing = [found for found in here if found[0] is Verdict.RECOVERED]
        verdict, watermark_id = next(iter(agreeing or here), (Verdict.UNKNOWN, None))
        yield Span(start_s, end_s, verdict, watermark_id if verdict in _OURS else None)


def _piece_second(piece: Piece, moment_s: float) -> tuple[Verdict, str]:
    if piece.picture.agreement is Agreement.CONTRADICTS:
        return Verdict.TRANSPLANTED, piece.watermark_id
    seconds = enumerate(piece.picture.seconds)
    found = next(((index, state) for index, state in seconds if state.start_s <= moment_s < state.end_s), None)
    agrees = found is not None and found[1].agreement is Agreement.AGREES and not _sound_spoils(found[0], piece.sound)
    vouched_for = piece.marked and piece.record is not None and piece.record.sealed and not piece.compromised
    return (Verdict.RECOVERED if agrees and vouched_for else Verdict.ALTERED), piece.watermark_id


def _sound_spoils(index: int, sound: SoundSignal) -> bool:
    if sound.state is SoundState.ADDED:
        return True
    return index < len(sound.seconds) and sound.seconds[index].agreement is not Agreement.AGREES
