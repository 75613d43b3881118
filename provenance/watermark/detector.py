"""Finds the marks in a stream of frames, whatever was done to it, and says which seconds carry which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import islice
from typing import Literal

from media.frames import FrameBatch

from .codec import Floats, codewords
from .geometry import Geometry
from .issued import IssuedWords
from .keys import KeyRing
from .ladder import LADDER, identity
from .lattice import LatticeSpectrum
from .residual import Window, windows
from .schemes import SCHEME_1, SCHEME_2, Scheme
from .search import Match, Searcher, pose_at
from .statistic import false_match_probability

Strength = Literal["strong", "weak", "none"]
Seconds = tuple[tuple[float, float], ...]
WINDOW_S = 1.0
LOOKS_PER_S = 6.25
_BLOCK_WINDOWS, _FIRST_WINDOWS = 10, 3  # seconds searched as one; fewer at first when one answer is enough
_STRONG_MARGIN = 30.0
_SEGMENT_EVIDENCE = 6.0 * math.log(10.0)  # a second counts at one chance in a million, shared by all seconds
_MOST_MARKS = 8


@dataclass(frozen=True)
class Mark:
    """One mark that was found: whose it is, where its tile lies, and the stretches [start_s, end_s] that carry it."""

    payload: int
    key_name: str
    scheme: int
    log_evidence: float
    required_log_evidence: float
    false_match_probability: float
    geometry: Geometry
    segments: Seconds


@dataclass(frozen=True)
class Detection:
    """What a search found.

    found: evidence reached `required_log_evidence` (bound of 1e-9 over the whole search). payload, key_name, geometry and
    segments: of the first mark, only when found. marks: every mark of the stream, in order of appearance. log_evidence: L in
    nats, of the first mark or else of the strongest answer. candidates: words compared (free decodes, and issued ids times
    poses). windows: stretches of time searched for an unknown mark. seconds: all windows looked at.
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
    segments: Seconds
    strength: Strength
    marks: tuple[Mark, ...] = ()


class Detector:
    """Looks for marks made with any of `keys` (name to key bytes).

    issued_ids: the payloads that exist; with them a weaker mark is enough, and an id outside them can still be found by a
    free decode. sync_key: the platform's key for the place of the tile; with it `keys` are those of scheme 2 and
    `scheme_1_keys` those of outputs marked before, without it `keys` are of scheme 1. looks_per_s: frames looked at.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        issued_ids: Sequence[int] | None = None,
        *,
        sync_key: bytes | None = None,
        scheme_1_keys: Mapping[str, bytes] | None = None,
        looks_per_s: float = LOOKS_PER_S,
    ) -> None:
        first = dict(scheme_1_keys or {})
        rings = [KeyRing(keys, SCHEME_2, sync_key)] if sync_key is not None else []
        rings.append(KeyRing(first if rings else {**keys, **first}, SCHEME_1))
        self._rings = [ring for ring in rings if len(ring)] or rings[:1]
        self._looks_per_s = looks_per_s
        self._issued = IssuedWords(issued_ids) if issued_ids else None

    def detect(self, batches: Iterable[FrameBatch], *, until_found: bool = False) -> Detection:
        """Searches a stream in blocks of ten seconds and follows every mark found through the rest.

        until_found: stop reading at the first accepted answer; `segments` then ends there. Memory does not grow with length,
        but for a few numbers per second.
        """
        hunt = _Hunt(self._rings, self._issued)
        stream = windows(batches, window_s=WINDOW_S, looks_per_s=self._looks_per_s)
        for block in _blocks(stream, first=_FIRST_WINDOWS if until_found else _BLOCK_WINDOWS):
            hunt.look_at(block)
            if until_found and hunt.trails:
                break
        return hunt.detection()


def _blocks(stream: Iterator[Window], first: int) -> Iterator[list[Window]]:
    size = first
    while block := list(islice(stream, size)):
        yield block
        block.clear()  # whoever asked is done with it: two blocks at a time would double the memory
        size = _BLOCK_WINDOWS


@dataclass
class _Trail:
    """A mark that was found, its code word, and its evidence second by second: (start_s, end_s, L)."""

    match: Match
    payload: int
    scheme: Scheme
    codeword: Floats
    seconds: list[tuple[float, float, float]] = field(default_factory=list)

    def follow(self, window: Window) -> float:
        """Adds one second; its evidence."""
        pose = self.match.pose
        evidence = pose_at(window, self.scheme, pose.keyed, pose.geometry).evidence(self.codeword)
        self.seconds.append((window.start_s, window.end_s, evidence))
        return evidence

    def mark(self, count: int) -> Mark:
        """The finished mark of a stream of `count` seconds."""
        match = self.match
        return Mark(
            payload=self.payload,
            key_name=match.pose.keyed.name,
            scheme=self.scheme.version,
            log_evidence=match.evidence,
            required_log_evidence=match.required,
            false_match_probability=false_match_probability(match.evidence, match.searched),
            geometry=match.pose.geometry,
            segments=_segments(self.seconds, count),
        )


class _Hunt:
    """One pass over a stream: the marks on its trail, and the strongest answer that was not enough."""

    def __init__(self, rings: Sequence[KeyRing], issued: IssuedWords | None) -> None:
        keys = sum(len(ring) for ring in rings)
        self._searchers = [Searcher(ring, issued, keys) for ring in rings]
        self.trails: list[_Trail] = []
        self._best: Match | None = None
        self._count = 0

    def look_at(self, block: Sequence[Window]) -> None:
        """Follows the known marks; searches what they leave unexplained until nothing more is found there."""
        self._count += len(block)
        unexplained = [window for window in block if not self._explained(window)]
        while unexplained and len(self.trails) < _MOST_MARKS:
            trail = self._search(unexplained)
            if trail is None:
                return
            self.trails.append(trail)
            required = _required(self._count)
            left = [window for window in unexplained if trail.follow(window) < required]
            if len(left) == len(unexplained):
                return
            unexplained = left

    def _explained(self, window: Window) -> bool:
        required = _required(self._count)
        evidence = [trail.follow(window) for trail in self.trails]
        return max(evidence, default=0.0) >= required

    def _search(self, block: Sequence[Window]) -> _Trail | None:
        """The windows as a whole on every rung; failing that, one by one as they are, for a mark in few of them."""
        tries = [(reduce(Window.plus, block), LADDER), *((window, (identity,)) for window in block if len(block) > 1)]
        for window, ladder in tries:
            view = LatticeSpectrum(window, SCHEME_2)  # its lattice is that of scheme 1, only the chips differ
            for searcher in self._searchers:
                trail = self._accepted(searcher, searcher.search(view, ladder))
                if trail is not None:
                    return trail
        return None

    def _accepted(self, searcher: Searcher, match: Match | None) -> _Trail | None:
        if match is None:
            return None
        if not match.accepted or match.payload is None:
            if self._best is None or match.evidence > self._best.evidence:
                self._best = match
            return None
        return _Trail(match, match.payload, searcher.scheme, codewords([match.payload])[0])

    def detection(self) -> Detection:
        """What was found after all."""
        answer = self._answer(self.trails[0].match if self.trails else self._best)
        if not self.trails:
            return answer
        marks = tuple(trail.mark(self._count) for trail in self.trails)
        first = marks[0]
        return replace(
            answer,
            found=True,
            payload=first.payload,
            key_name=first.key_name,
            scheme=first.scheme,
            geometry=first.geometry,
            segments=first.segments,
            strength="strong" if answer.log_evidence - answer.required_log_evidence >= _STRONG_MARGIN else "weak",
            marks=marks,
        )

    def _answer(self, match: Match | None) -> Detection:
        """What was tried, and how near the strongest answer came."""
        return Detection(
            found=False,
            payload=None,
            key_name=None,
            scheme=self._searchers[0].scheme.version,
            log_evidence=match.evidence if match else 0.0,
            required_log_evidence=match.required if match else math.inf,
            false_match_probability=false_match_probability(match.evidence, match.searched) if match else 1.0,
            candidates=sum(searcher.candidates for searcher in self._searchers),
            windows=sum(searcher.windows for searcher in self._searchers),
            seconds=self._count,
            geometry=None,
            segments=(),
            strength="none",
        )


def _required(count: int) -> float:
    return _SEGMENT_EVIDENCE + math.log(max(1, count))


def _segments(seconds: Sequence[tuple[float, float, float]], count: int) -> Seconds:
    """Marked stretches, neighbours joined."""
    joined: list[tuple[float, float]] = []
    previous_marked = False
    for start_s, end_s, evidence in seconds:
        marked = evidence >= _required(count)
        if marked and previous_marked:
            joined[-1] = (joined[-1][0], round(end_s, 3))
        elif marked:
            joined.append((round(start_s, 3), round(end_s, 3)))
        previous_marked = marked
    return tuple(joined)
