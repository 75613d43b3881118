"""Which of the records that an index of windows proposed a file is a copy of: by their windows, then by their fingerprints."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.geometry import Placement
from provenance.fingerprint.hypotheses import closeness
from provenance.fingerprint.tolerances import DEFAULT
from provenance.fingerprint.video import RATE_HZ, VideoFingerprint
from provenance.fingerprint.windows import GAP_S, WHOLE, Course, View

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

VIEWS = (WHOLE, View(0.025, 0.025, 0.95), *(View(top, left, 0.9) for top in (0.0, 0.05, 0.1) for left in (0.0, 0.05, 0.1)))
_NUDGES_S = (-0.125, -0.0625, 0.0, 0.0625, 0.125)
_SMALL_NUDGES_S = (-0.0625, 0.0, 0.0625)
_WINDOWS = 40  # of a record that one measurement looks at, evenly over what the file covers
_VIEWED = 6  # matches for which crops are tried
_FEW = 0.1  # what one window alone is worth less than many, by the root of their number
# What a match is worth less when the record covers none of the file: another performance always has a moment or two
# that resemble one of the file's. Of 218 mirrored crops 2 went wrong at 0 (the first by .02), 1 at .1 and .3, none at .2.
_UNCOVERED = 0.2
_STRETCH_S = 30.0  # of two long clips that are compared by their fingerprints
_WORTH_A_LOOK = 0.55  # cosine; copies reach 0.7 and more


@dataclass(frozen=True, slots=True)
class Match:
    """A record that a file may be a copy of. offset_s: where in it the file starts; score: up to 1, below 0.6 means little.

    covered: the share of the file for which there is something in the record; view: the part of the record that fits best.
    """

    record_id: uuid.UUID
    offset_s: float
    mirrored: bool
    score: float
    covered: float = 1.0
    view: View = WHOLE

    @property
    def rank(self) -> float:
        """What matches are ordered by."""
        return self.score - _UNCOVERED * (1 - self.covered)


@dataclass(frozen=True, slots=True)
class Stored:
    """The windows of a record: times (N,) and vectors (N, 96)."""

    times_s: F64
    vectors: F32


def by_windows(fingerprint: VideoFingerprint, proposals: Iterable[Match], stored: Mapping[uuid.UUID, Stored]) -> list[Match]:
    """The proposals that are worth a look, one for each record, best first; the leaders in the crop that fits each best.

    Crops cost a true match more than a near one: trying them on the leaders alone is enough, and a tenth of the work.
    """
    courses = {hand: Course.of(fingerprint, mirrored=hand) for hand in (False, True)}
    found = _best(_measured(near, courses[near.mirrored], (WHOLE,), stored[near.record_id], _NUDGES_S) for near in proposals)
    leaders = found[:_VIEWED]
    hands = {match.mirrored for match in leaders}
    viewed = {hand: Course.of(fingerprint, mirrored=hand, views=VIEWS) for hand in hands}
    again = (_measured(near, viewed[near.mirrored], VIEWS, stored[near.record_id], _SMALL_NUDGES_S) for near in leaders)
    return _best([*again, *found[_VIEWED:]])


def in_full(
    fingerprint: VideoFingerprint, leaders: Sequence[Match], fingerprints: Mapping[uuid.UUID, VideoFingerprint]
) -> list[Match]:
    """Leaders that their windows cannot tell apart, in the order of how closely the file lies on each fingerprint."""

    def close(match: Match) -> float:
        record, view = fingerprints.get(match.record_id), match.view
        if record is None:
            return -1.0
        place = Placement(view.top, view.left, view.top + view.size, view.left + view.size, match.mirrored)
        return closeness(*_stretch(fingerprint, record, match.offset_s), place, DEFAULT)

    return sorted(leaders, key=close, reverse=True)


def _stretch(
    query: VideoFingerprint, record: VideoFingerprint, offset_s: float
) -> tuple[VideoFingerprint, VideoFingerprint, float]:
    """The middle of what both show, when that is long, and the offset there."""
    first_s, last_s = max(0.0, -offset_s), min(query.duration_s, record.duration_s - offset_s)
    if last_s - first_s <= _STRETCH_S:
        return query, record, offset_s
    start = round((first_s + last_s - _STRETCH_S) / 2 * RATE_HZ)
    count = round(_STRETCH_S * RATE_HZ)
    start_in_record = max(0, start + round(offset_s * RATE_HZ) - RATE_HZ)
    moved_s = (start - start_in_record) / RATE_HZ
    return _cut(query, start, count), _cut(record, start_in_record, count + 2 * RATE_HZ), offset_s + moved_s


def _cut(fingerprint: VideoFingerprint, start: int, count: int) -> VideoFingerprint:
    slots = slice(start, start + count)
    cells = fingerprint.cells[slots]
    return replace(fingerprint, cells=cells, spreads=fingerprint.spreads[slots], duration_s=len(cells) / RATE_HZ)


def _best(matches: Iterable[Match]) -> list[Match]:
    best: dict[uuid.UUID, Match] = {}
    for match in matches:
        known = best.get(match.record_id)
        if match.score > _WORTH_A_LOOK and (known is None or match.rank > known.rank):
            best[match.record_id] = match
    return sorted(best.values(), key=lambda match: -match.rank)


def _measured(near: Match, course: Course, views: Sequence[View], stored: Stored, nudges_s: Sequence[float]) -> Match:
    """The best mean cosine over the record's windows that the file covers, for offsets near the proposed one and all views."""
    offsets_s = near.offset_s + np.array(nudges_s)
    reached = np.flatnonzero(course.holds(stored.times_s - near.offset_s, slack_s=max(nudges_s)))
    if len(reached) > _WINDOWS:
        reached = reached[np.linspace(0, len(reached) - 1, _WINDOWS).astype(int)]
    wanted_s = stored.times_s[reached] - offsets_s[:, None]
    nudge, window = np.nonzero(course.holds(wanted_s))
    counts = np.bincount(nudge, minlength=len(offsets_s))
    if not counts.any():
        return replace(near, score=-1.0)
    cosines = np.einsum("nvd,nd->nv", course.at(wanted_s[nudge, window]), stored.vectors[reached[window]])
    sums = np.zeros((len(offsets_s), len(views)))
    np.add.at(sums, nudge, cosines)
    known = np.maximum(counts, 1)[:, None]
    scores = np.where(counts[:, None] > 0, sums / known - _FEW / np.sqrt(known), -1.0)
    best, view = (int(index) for index in np.unravel_index(int(scores.argmax()), scores.shape))
    offset_s = float(offsets_s[best])
    covered = _covered(course, stored, offset_s)
    return Match(
        near.record_id, round(offset_s, 3), near.mirrored, round(float(scores[best, view]), 4), round(covered, 3), views[view]
    )


def _covered(course: Course, stored: Stored, offset_s: float) -> float:
    """The share of the file's time, where it holds windows, that lies within the record's."""
    first, last = (end + offset_s for end in course.ends_s)
    overlap = min(last, float(stored.times_s[-1])) - max(first, float(stored.times_s[0]))
    return float(np.clip((overlap + GAP_S) / (last - first + GAP_S), 0.0, 1.0))
