"""Finds the mark in a stream of frames, whatever was done to it, and says which seconds carry it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from media.frames import FrameBatch

from .codec import codewords
from .geometry import LADDER, Geometry, identity
from .issued import IssuedWords
from .residual import Window, windows
from .schemes import SCHEME_1, Scheme
from .search import Match, Searcher, pose_at
from .statistic import false_match_probability

Strength = Literal["strong", "weak", "none"]
WINDOW_S = 1.0
STRIDE = 4
_BLOCK_WINDOWS = 8
_STRONG_MARGIN = 30.0
_SEGMENT_EVIDENCE = 6.0 * math.log(10.0)  # a second counts at one chance in a million, shared by all seconds


@dataclass(frozen=True)
class Detection:
    """What a search found.

    found: evidence reached `required_log_evidence` (bound of 1e-9 over the whole search). payload, key_name, geometry and
    segments: only when found. log_evidence: L in nats, of the strongest answer. candidates: words compared (free decodes,
    and issued ids times poses). windows: stretches of time searched for an unknown mark. seconds: all windows looked at.
    segments: marked stretches [start_s, end_s], in seconds of the stream's time stamps.
    """

    found: bool
    payload: int | None
    key_name: str | None
    scheme: int
    log_evidence: float
    required_log_evidence: float
    false_match_probability: float
    candidates: int
    windows: int
    seconds: int
    geometry: Geometry | None
    segments: tuple[tuple[float, float], ...]
    strength: Strength


class Detector:
    """Looks for marks of one scheme made with any of `keys` (name to key bytes).

    issued_ids: the payloads that exist; with them a weaker mark is enough, and an id outside them can still be found by a
    free decode. stride: every how many frames one is looked at.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        issued_ids: Sequence[int] | None = None,
        *,
        scheme: Scheme = SCHEME_1,
        stride: int = STRIDE,
    ) -> None:
        self._keys, self._scheme, self._stride = dict(keys), scheme, max(1, stride)
        self._issued = IssuedWords(issued_ids) if issued_ids else None

    def detect(self, batches: Iterable[FrameBatch], *, until_found: bool = False) -> Detection:
        """Searches a stream in blocks of eight seconds until a mark is found, then follows it through the rest.

        until_found: stop reading at the first accepted answer; `segments` then ends there. Memory does not grow with length.
        """
        searcher = Searcher(self._keys, self._issued, self._scheme)
        stream = windows(batches, window_s=WINDOW_S, stride=self._stride)
        best: Match | None = None
        seconds: list[tuple[float, float, float]] = []
        count = 0
        for block in _blocks(stream):
            count += len(block)
            best = best if best and best.accepted else _better(best, _search_block(searcher, block))
            if best and best.accepted:
                seconds += [(w.start_s, w.end_s, _evidence(w, self._scheme, best)) for w in block]
                if until_found:
                    break
        return _detection(self._scheme, searcher, best, seconds, count)


def _blocks(stream: Iterator[Window]) -> Iterator[list[Window]]:
    block: list[Window] = []
    for window in stream:
        block.append(window)
        if len(block) == _BLOCK_WINDOWS:
            yield block
            block = []
    if block:
        yield block


def _search_block(searcher: Searcher, block: Sequence[Window]) -> Match | None:
    """The block as a whole on every rung; failing that, its seconds one by one as they are, for a mark in few of them."""
    whole = block[0]
    for window in block[1:]:
        whole = whole.plus(window)
    best = searcher.search(whole, LADDER)
    for window in block if len(block) > 1 else ():
        if best and best.accepted:
            break
        best = _better(best, searcher.search(window, (identity,)))
    return best


def _better(best: Match | None, match: Match | None) -> Match | None:
    if best is None or match is None:
        return best or match
    return match if match.accepted or match.evidence > best.evidence else best


def _evidence(window: Window, scheme: Scheme, match: Match) -> float:
    """L of the known word in one window at the known place."""
    payload = match.payload
    if payload is None:
        return 0.0
    return pose_at(window, scheme, match.pose.keyed, match.pose.geometry).evidence(codewords([payload])[0])


def _segments(seconds: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float], ...]:
    """Marked stretches, neighbours joined."""
    required = _SEGMENT_EVIDENCE + math.log(max(1, len(seconds)))
    joined: list[tuple[float, float]] = []
    previous_marked = False
    for start_s, end_s, evidence in seconds:
        marked = evidence >= required
        if marked and previous_marked:
            joined[-1] = (joined[-1][0], round(end_s, 3))
        elif marked:
            joined.append((round(start_s, 3), round(end_s, 3)))
        previous_marked = marked
    return tuple(joined)


def _detection(
    scheme: Scheme, searcher: Searcher, best: Match | None, seconds: Sequence[tuple[float, float, float]], count: int
) -> Detection:
    tried = Detection(
        found=False,
        payload=None,
        key_name=None,
        scheme=scheme.version,
        log_evidence=0.0,
        required_log_evidence=math.inf,
        false_match_probability=1.0,
        candidates=searcher.candidates,
        windows=searcher.windows,
        seconds=count,
        geometry=None,
        segments=(),
        strength="none",
    )
    if best is None:
        return tried
    chance = false_match_probability(best.evidence, best.searched)
    tried = replace(tried, log_evidence=best.evidence, required_log_evidence=best.required, false_match_probability=chance)
    if not best.accepted:
        return tried
    return replace(
        tried,
        found=True,
        payload=best.payload,
        key_name=best.pose.keyed.name,
        geometry=best.pose.geometry,
        segments=_segments(seconds),
        strength="strong" if best.evidence - best.required >= _STRONG_MARGIN else "weak",
    )
