"""The search by content: which records a file may be a copy of, where in them it starts, and whether it is mirrored.

Windows of every sealed picture lie in PostgreSQL under an index of nearest neighbours (pgvector: Malkov and Yashunin,
"Efficient and robust approximate nearest neighbor search using HNSW graphs", 2018). Those nearest to the windows of a file
propose records and offsets; each proposal is then measured exactly, at every window of the record that the file covers.
"""

from __future__ import annotations

import itertools
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from provenance.errors import FingerprintUnreadable
from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint.windows import WHOLE, Course, View
from provenance.models import FingerprintWindow, Record
from provenance.vector_field import vector_literal

logger = logging.getLogger(__name__)

F32 = npt.NDArray[np.float32]

LIMIT = 8
_MOMENTS = 16  # of a file that are looked up, in both hands
_NEIGHBOURS = 10
_SEARCH_WIDTH = 40  # of the graph: wider finds more and takes longer
_VOTE_S = 0.25
_PROPOSALS = 24
_NUDGES_S = (-0.125, -0.0625, 0.0, 0.0625, 0.125)
_SMALL_NUDGES_S = (-0.0625, 0.0, 0.0625)
_VIEWED = 6  # matches for which crops are tried
_VIEWS = (WHOLE, View(0.025, 0.025, 0.95), *(View(top, left, 0.9) for top in (0.0, 0.05, 0.1) for left in (0.0, 0.05, 0.1)))
_FEW = 0.1  # what one window alone is worth less than many, by the root of their number
_WORTH_A_LOOK = 0.55  # cosine; copies reach 0.7 and more

NEAREST = """
    SELECT query.number, near.record_id, near.at_s, near.cosine
    FROM (SELECT number, text::halfvec AS vector FROM unnest(%s::int[], %s::text[]) AS given(number, text)) AS query
    CROSS JOIN LATERAL (
        SELECT record_id, at_s, -(stored.vector <#> query.vector) AS cosine
        FROM provenance_fingerprintwindow AS stored ORDER BY stored.vector <#> query.vector LIMIT %s
    ) AS near
"""


@dataclass(frozen=True, slots=True)
class Match:
    """A record that a file may be a copy of. offset_s: where in it the file starts; score: up to 1, below 0.6 means little."""

    record_id: uuid.UUID
    offset_s: float
    mirrored: bool
    score: float


@dataclass(frozen=True, slots=True)
class _Proposal:
    record_id: uuid.UUID
    offset_s: float
    mirrored: bool
    votes: float


Stored = tuple[npt.NDArray[np.float64], F32]  # times (N,) and vectors (N, 96) of a record's windows


def add_to_index(*, record: Record, fingerprint: VideoFingerprint) -> None:
    """Makes a sealed record findable by its content; within the transaction that seals it."""
    windows = Course.of(fingerprint).windows()
    FingerprintWindow.objects.bulk_create(
        [FingerprintWindow(record=record, at_s=window.at_s, vector=window.vector) for window in windows]
    )


def index_missing() -> int:
    """Adds the records that were sealed before there was an index; how many. Those of another version are passed over."""
    missing = Record.objects.filter(sealed_at__isnull=False, fingerprint_windows__isnull=True)
    count = 0
    for record in missing.iterator(chunk_size=50):
        try:
            fingerprint = VideoFingerprint.from_bytes(bytes(record.fingerprint))
        except FingerprintUnreadable:
            logger.warning("record %s cannot be found by content: its fingerprint is unreadable", record.pk)
            continue
        with transaction.atomic():
            add_to_index(record=record, fingerprint=fingerprint)
        count += 1
    return count


def top_matches(fingerprint: VideoFingerprint, *, limit: int = LIMIT) -> list[Match]:
    """The records that the picture resembles most, best first. Bears crops by a tenth and mirroring."""
    if len(fingerprint.cells) < 2:
        return []
    courses = {mirrored: Course.of(fingerprint, mirrored=mirrored) for mirrored in (False, True)}
    proposals = sorted(_proposals(courses), key=lambda proposal: -proposal.votes)[:_PROPOSALS]
    stored = _windows_of({proposal.record_id for proposal in proposals})
    found = _best(_measured(one, courses[one.mirrored], *stored[one.record_id], _NUDGES_S) for one in proposals)
    return (_viewed(fingerprint, found[:_VIEWED], stored) + found[_VIEWED:])[:limit]


def _best(matches: Iterable[Match]) -> list[Match]:
    """The best match of each record that is worth a look, best first."""
    best: dict[uuid.UUID, Match] = {}
    for match in matches:
        if match.score > best.get(match.record_id, _NOTHING).score:
            best[match.record_id] = match
    return sorted(best.values(), key=lambda match: -match.score)


def _viewed(fingerprint: VideoFingerprint, leaders: Sequence[Match], stored: Mapping[uuid.UUID, Stored]) -> list[Match]:
    """The leaders once more, each in the crop of it that fits best: crops cost a true match more than a near one."""
    hands = {match.mirrored for match in leaders}
    courses = {(hand, view): Course.of(fingerprint, mirrored=hand, view=view) for hand in hands for view in _VIEWS}
    return _best(
        _measured(match, courses[match.mirrored, view], *stored[match.record_id], _SMALL_NUDGES_S)
        for match in leaders
        for view in _VIEWS
    )


_NOTHING = Match(uuid.UUID(int=0), 0.0, mirrored=False, score=_WORTH_A_LOOK)


def _proposals(courses: dict[bool, Course]) -> Iterator[_Proposal]:
    """Records and offsets for which neighbours of several windows speak: those within a quarter of a second count together."""
    times_s = courses[False].stretches(_MOMENTS)
    asked = [(mirrored, at_s) for mirrored in courses for at_s in times_s]
    vectors = np.concatenate([course.at(times_s) for course in courses.values()])
    votes: dict[tuple[uuid.UUID, bool, int], list[tuple[float, float]]] = defaultdict(list)
    for number, record_id, stored_s, cosine in _nearest(vectors):
        mirrored, at_s = asked[number]
        offset_s = stored_s - at_s
        votes[record_id, mirrored, round(offset_s / _VOTE_S)].append((cosine, offset_s))
    for (record_id, mirrored, _), found in votes.items():
        yield _Proposal(record_id, max(found)[1], mirrored, sum(cosine for cosine, _ in found))


def _nearest(vectors: F32) -> list[tuple[int, uuid.UUID, float, float]]:
    literals = [vector_literal(vector) for vector in vectors.tolist()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(_SEARCH_WIDTH)])
        cursor.execute(NEAREST, [list(range(len(literals))), literals, _NEIGHBOURS])
        rows: list[tuple[int, uuid.UUID, float, float]] = cursor.fetchall()
    return rows


def _windows_of(record_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Stored]:
    rows = FingerprintWindow.objects.filter(record__in=list(record_ids)).order_by("record", "at_s")
    found = rows.values_list("record_id", "at_s", "vector")
    grouped = {key: list(group) for key, group in itertools.groupby(found, key=lambda row: row[0])}
    return {key: (np.array([row[1] for row in group]), np.stack([row[2] for row in group])) for key, group in grouped.items()}


def _measured(
    near: _Proposal | Match, course: Course, times_s: npt.NDArray[np.float64], vectors: F32, nudges_s: Iterable[float]
) -> Match:
    """The best mean cosine over the record's windows that the file covers, for offsets near the proposed one."""
    score, offset_s = -1.0, near.offset_s
    for nudged_s in (near.offset_s + nudge for nudge in nudges_s):
        covered = course.holds(times_s - nudged_s)
        count = int(covered.sum())
        if not count:
            continue
        cosines = (course.at(times_s[covered] - nudged_s) * vectors[covered]).sum(axis=1)
        measured = float(cosines.mean()) - _FEW / count**0.5
        if measured > score:
            score, offset_s = measured, nudged_s
    return Match(near.record_id, round(offset_s, 3), near.mirrored, round(score, 4))
